package apiserver

import (
	"context"

	"laterna.dev/laterna/internal/tokens/keys"
)

// SigningKey tells which key signs. The zero value must not be used.
type SigningKey struct{ ring *keys.Ring }

// SigningKey returns what tells which key signs. The server must have started.
func (s *Server) SigningKey() SigningKey { return SigningKey{s.ring} }

// ID returns the ID of the key that signs new tokens, "" when there is none yet. It
// does not wait.
func (k SigningKey) ID(ctx context.Context) string {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	key, err := k.ring.Signing(ctx)
	if err != nil {
		return ""
	}
	return key.ID
}

// Newest is ID as the store has it, at some time after the call: "" where the store
// cannot tell.
func (k SigningKey) Newest(ctx context.Context) string {
	if err := k.ring.Refresh(ctx); err != nil {
		return ""
	}
	return k.ID(ctx)
}

// Subscribe returns a channel that gets a value after the keys have changed, until
// cancel is called.
func (k SigningKey) Subscribe() (changed <-chan struct{}, cancel func()) { return k.ring.Subscribe() }
