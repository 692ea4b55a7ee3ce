package keys

import (
	"context"
	"time"

	"laterna.dev/laterna/boundtoken"
)

// SigningKey tells which key signs. The zero value must not be used.
type SigningKey struct{ ring *Ring }

// SigningKey returns what tells which key signs.
func (r *Ring) SigningKey() SigningKey { return SigningKey{r} }

// MintLegacy returns a token that a Secret will keep. It has no end, so its key is
// accepted until an operator withdraws it.
func (r *Ring) MintLegacy(ctx context.Context, claims boundtoken.LegacyClaims) (boundtoken.Token, error) {
	signer, err := r.Signer(ctx, time.Time{})
	if err != nil {
		return boundtoken.Token{}, err
	}
	return boundtoken.MintLegacy(ctx, signer, claims)
}

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
