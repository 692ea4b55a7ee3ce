// Package tokens joins what issues service account tokens and what checks them into the one
// thing that a server has of them.
//
// It owns which part tells which: the status that says the issuers, the keys, the objects
// that tokens are bound to, and what becomes of issued tokens. The parts are its
// subpackages; the endpoints are in internal/registry.
package tokens

import (
	"context"
	"log/slog"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens/issuer"
	"laterna.dev/laterna/internal/tokens/issuer/status"
	"laterna.dev/laterna/internal/tokens/keys"
	"laterna.dev/laterna/internal/tokens/review"
	"laterna.dev/laterna/internal/tokens/uses"
)

// Config is what Tokens are made of. Every field is required.
type Config struct {
	// Issuers are the values of --service-account-issuer, APIAudiences those of
	// --api-audiences and JWKSURI that of --service-account-jwks-uri; see issuer.Config.
	Issuers, APIAudiences []string
	JWKSURI               string
	// ExternalAddress is the host and port at which clients reach the server.
	ExternalAddress string
	// Keys sign.
	Keys *keys.Ring
	// Status is the storage of kubeapiservers, whose status says the issuers.
	Status status.Storage
	// Objects are those that tokens are bound to, Revisions what tells whether they are
	// still as they were.
	Objects   review.Getters
	Revisions review.Revisions
	// Client writes down uses of tokens.
	Client kubernetes.Interface
	// IsNode tells whether a user is the agent of a node.
	IsNode func(user.Info) bool
	// Clock governs the life of tokens, Wall all else.
	Clock clock.API
	Wall  clock.Wall
	Log   *slog.Logger
}

// Tokens issue and check the service account tokens of a server. Its methods may be
// called concurrently.
type Tokens struct {
	// Issuers issue, Check checks.
	Issuers *issuer.Set
	Check   *review.Authenticator

	follow    *status.Follower
	rotations *review.Rotations
	uses      *uses.Recorder
	isNode    func(user.Info) bool
}

// New returns tokens that know the issuers of the flags only, until Load.
func New(c Config) (*Tokens, error) {
	t := &Tokens{rotations: review.NewRotations(), uses: uses.New(c.Client, c.Wall, c.Log), isNode: c.IsNode}
	var err error
	t.Issuers, err = issuer.New(issuer.Config{
		Issuers:         c.Issuers,
		APIAudiences:    c.APIAudiences,
		JWKSURI:         c.JWKSURI,
		ExternalAddress: c.ExternalAddress,
		Keys:            c.Keys,
		Clock:           c.Clock,
	})
	if err != nil {
		return nil, err
	}
	t.follow = status.New(t.Issuers, c.Status, c.Wall, c.Log)
	t.Check, err = review.New(review.Config{
		Issuer:        t.Issuers,
		Keys:          c.Keys,
		ConfirmIssuer: t.follow.Confirm,
		ConfirmKeys:   c.Keys.Confirm,
		Objects:       review.NewProven(review.FromGetters(c.Objects), c.Revisions),
		Clock:         c.Clock,
		Wall:          c.Wall,
		Rotations:     t.rotations,
		Observer:      t.uses,
	})
	return t, err
}

// Load takes over the issuers that the store says. It is called before the first request
// is served, so that no token carries an issuer of the past.
func (t *Tokens) Load(ctx context.Context) error { return t.follow.Load(ctx) }

// Run follows the issuers and writes down uses until ctx ends.
func (t *Tokens) Run(ctx context.Context) {
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		t.uses.Run(ctx)
	}()
	t.follow.Run(ctx)
	<-recorded
}

// Issued notes a token that is given to the user of ctx: only what agents of nodes are
// given replaces what lies in a pod's volume.
func (t *Tokens) Issued(ctx context.Context, claims *boundtoken.Claims) {
	if u, ok := request.UserFrom(ctx); ok && t.isNode(u) {
		t.rotations.Issued(claims)
	}
}
