package apiserver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/component-base/metrics"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/registry/core/serviceaccount/token"
	"laterna.dev/laterna/internal/tokens/issuer"
	"laterna.dev/laterna/internal/tokens/issuer/status"
	"laterna.dev/laterna/internal/tokens/keys"
	"laterna.dev/laterna/internal/tokens/review"
	"laterna.dev/laterna/internal/tokens/uses"
)

// tokens issues and checks service account tokens.
type tokens struct {
	ring    *keys.Ring
	issuers *issuer.Set
	follow  *status.Follower
	check   authenticator.Token
	// rotations and uses know what becomes of issued tokens.
	rotations *review.Rotations
	uses      *uses.Recorder
	// metrics are what check counts.
	metrics []metrics.Registerable
}

// newTokens joins keys, issuers and the check of tokens against what they are
// bound to.
func newTokens(c Config, ring *keys.Ring, objects review.Getters, operator rest.Storage, b *backend, recorder *uses.Recorder) (*tokens, error) {
	t := &tokens{ring: ring, rotations: review.NewRotations(), uses: recorder}
	var err error
	t.issuers, err = issuer.New(issuer.Config{
		Issuers:         c.Tokens.Issuers,
		APIAudiences:    c.Tokens.APIAudiences,
		JWKSURI:         c.Tokens.JWKSURI,
		ExternalAddress: c.Serving.Advertise.String(),
		Keys:            ring,
		Clock:           c.Clock,
	})
	if err != nil {
		return nil, err
	}
	followed, ok := operator.(status.Storage)
	if !ok {
		return nil, errors.New("storage of kubeapiservers cannot be followed")
	}
	t.follow = status.New(t.issuers, followed, c.Wall, c.Log)
	warnOfTokens(c, t.issuers.Active())
	check, err := review.New(review.Config{
		Issuer:        t.issuers,
		Keys:          ring,
		ConfirmIssuer: t.follow.Confirm,
		ConfirmKeys:   ring.Confirm,
		Objects:       review.NewProven(review.FromGetters(objects), b.revisions),
		Clock:         c.Clock,
		Wall:          c.Wall,
		Rotations:     t.rotations,
		Observer:      t.uses,
	})
	if err != nil {
		return nil, err
	}
	t.check, t.metrics = check, check.Metrics()
	return t, nil
}

// Keys returns the ring of keys that sign tokens. The server must have started.
func (s *Server) Keys() *keys.Ring { return s.ring }

// revisions is a review.Revisions: one transaction of keys-only reads.
func (b *backend) revisions(ctx context.Context, objects []review.ObjectKey) ([]int64, error) {
	ops := make([]clientv3.Op, len(objects))
	for i, o := range objects {
		ops[i] = clientv3.OpGet(objectKey(o), clientv3.WithKeysOnly())
	}
	resp, err := b.client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return nil, fmt.Errorf("reading revisions: %w", err)
	}
	out := make([]int64, len(objects))
	for i, r := range resp.Responses {
		if kvs := r.GetResponseRange().Kvs; len(kvs) > 0 {
			out[i] = kvs[0].ModRevision
		}
	}
	return out, nil
}

// objectKey is where the storages keep an object.
func objectKey(o review.ObjectKey) string {
	parts := []string{objectPrefix, o.Kind.Resource().Resource, o.Namespace, o.Name}
	if o.Namespace == "" {
		parts = []string{objectPrefix, o.Kind.Resource().Resource, o.Name}
	}
	return strings.Join(parts, "/")
}

// warnOfTokens tells what the settings of tokens keep from working, without being
// wrong.
func warnOfTokens(c Config, active string) {
	if why := issuer.Undiscoverable(active); why != nil {
		c.Log.Warn("others cannot discover the issuer of tokens, its documents are not served", "issuer", active, "reason", why)
	}
	if c.Tokens.ExtendExpiration && token.PreventsExtension(c.Tokens.MaxExpiration) {
		c.Log.Warn("injected tokens are not extended: the longest life of a token is shorter than theirs",
			"service-account-max-token-expiration", c.Tokens.MaxExpiration)
	}
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
