package apiserver

import (
	"context"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/tokens/review"
)

// MintLegacy returns a token that a Secret will keep. It has no end, so its key is
// accepted until an operator withdraws it. The server must have started.
func (s *Server) MintLegacy(ctx context.Context, claims boundtoken.LegacyClaims) (boundtoken.Token, error) {
	signer, err := s.ring.Signer(ctx, time.Time{})
	if err != nil {
		return boundtoken.Token{}, err
	}
	return boundtoken.MintLegacy(ctx, signer, claims)
}

// noteIssued returns what notes the tokens that nodes' agents are given: only theirs
// replace what lies in a pod's volume.
func noteIssued(r *review.Rotations) func(context.Context, *boundtoken.Claims) {
	return func(ctx context.Context, claims *boundtoken.Claims) {
		if u, ok := request.UserFrom(ctx); ok && isNode(u) {
			r.Issued(claims)
		}
	}
}

func isNode(u user.Info) bool { return strings.HasPrefix(u.GetName(), "system:node:") }
