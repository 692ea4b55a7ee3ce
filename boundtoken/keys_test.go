package boundtoken_test

import (
	"context"
	"crypto/elliptic"
	"errors"
	"testing"

	"laterna.dev/laterna/boundtoken"
)

// remote is a source of keys that is somewhere else.
type remote struct {
	keys  []boundtoken.Key
	err   error
	asked []string
}

func (r *remote) Lookup(ctx context.Context, id string) ([]boundtoken.Key, error) {
	r.asked = append(r.asked, id)
	return r.keys, errors.Join(r.err, ctx.Err())
}

func TestKeysThatCannotBeAskedForAreNoRefusal(t *testing.T) {
	s := signer(t, ecKey(t, elliptic.P256()))
	text, want := mint(t, s, claims()), expected(s)
	source := &remote{keys: []boundtoken.Key{s.Key()}}
	want.Keys = source
	if _, err := boundtoken.Verify(t.Context(), text, want); err != nil {
		t.Fatal(err)
	}
	if len(source.asked) != 1 || source.asked[0] != s.Key().ID {
		t.Errorf("asked for %q, want the token's key once", source.asked)
	}
	down := errors.New("no route to host")
	source.err = down
	if _, err := boundtoken.Verify(t.Context(), text, want); !errors.Is(err, down) || boundtoken.ReasonOf(err) != "" {
		t.Errorf("%v with reason %q, want the source's error and no reason", err, boundtoken.ReasonOf(err))
	}
	source.err = nil
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := boundtoken.Verify(ended, text, want); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's end", err)
	}
	source.keys = nil
	if _, err := boundtoken.Verify(t.Context(), text, want); boundtoken.ReasonOf(err) != boundtoken.UnknownKey {
		t.Errorf("no key: %v", err)
	}
}
