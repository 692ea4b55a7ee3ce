package apiserver

import (
	"context"
	"time"

	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/authz/node"
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
		u, _ := request.UserFrom(ctx)
		if name, ok := node.Name(u); ok && name != "" {
			r.Issued(claims)
		}
	}
}
