package keys

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"time"

	"laterna.dev/laterna/boundtoken"
)

// State is what a key is used for. Keys of all states are published, and tokens that
// they signed are accepted.
type State string

const (
	// Upcoming is the state of a key that does not sign yet.
	Upcoming State = "Upcoming"
	// Signing is the state of the one key that signs.
	Signing State = "Signing"
	// Retired is the state of a key that does not sign any more.
	Retired State = "Retired"
)

// MaxAge is how long the published key set may be kept by those who read it. A key
// is published for this long before it signs.
const MaxAge = time.Hour

const (
	// publishing is how long it may take until every server publishes a key that
	// was stored.
	publishing = 2 * time.Second
	// headroom is how far a key's last end is set beyond the end of the token that
	// asks for it, so that the next ones, for about this long, need not ask.
	headroom = 24 * time.Hour
)

// Never is the last end of a key that signed a token without an end.
var Never = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// Key is what may be known of a key: all but its private half. Times are in whole
// seconds, in UTC, on the ring's clock.
type Key struct {
	boundtoken.Key
	Type  Type
	State State
	// Published is when the key was stored and first published.
	Published time.Time
	// SignsFrom is when the key signs, or began to.
	SignsFrom time.Time
	// RetiredAt is when the key ceased to sign; zero for those that did not.
	RetiredAt time.Time
	// LastEnd bounds the ends of the tokens that the key signed: none ends later.
	// Zero means that it signed none, Never that there are some without an end.
	LastEnd time.Time
}

// Gone returns when the last token of a retired key is refused by all whose clocks
// differ by no more than boundtoken.Leeway, which is when the key is forgotten; false
// when that is never or not known, as of keys that are not retired.
func (k *Key) Gone() (time.Time, bool) {
	switch {
	case k.State != Retired || k.LastEnd.Equal(Never):
		return time.Time{}, false
	case k.LastEnd.IsZero():
		return k.RetiredAt, true
	}
	return k.LastEnd.Add(boundtoken.Leeway + time.Second), true
}

// covers tells whether tokens that end then are within the bound; zero is no end.
func (k *Key) covers(end time.Time) bool {
	if end.IsZero() {
		end = Never
	}
	return !end.After(k.LastEnd)
}

// key is a Key with its private half.
type key struct {
	Key
	// signer and pkcs8, the private key in PKCS #8 DER form, are nil when retired.
	signer boundtoken.Signer
	pkcs8  []byte
}

// newKey makes a key that is in no state yet.
func newKey(t Type) (key, error) {
	private, err := generate(t)
	if err != nil {
		return key{}, fmt.Errorf("making signing key: %v", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return key{}, fmt.Errorf("encoding signing key: %v", err)
	}
	return openPrivate(private, der)
}

func openPrivate(private crypto.Signer, der []byte) (key, error) {
	signer, err := boundtoken.NewSigner(private)
	if err != nil {
		return key{}, err
	}
	t, err := typeOf(private.Public())
	if err != nil {
		return key{}, err
	}
	return key{Key: Key{Key: signer.Key(), Type: t}, signer: signer, pkcs8: der}, nil
}

// publish gives a new key its dates. An immediate one signs from now.
func (k *key) publish(now time.Time, immediate bool) {
	k.State, k.Published, k.SignsFrom = Upcoming, stamp(now), stamp(now)
	if !immediate {
		k.SignsFrom = k.Published.Add(publishing + MaxAge)
	}
}

// retire ends the signing of a key and forgets how it is done.
func (k *key) retire(now time.Time) {
	k.State, k.RetiredAt, k.signer, k.pkcs8 = Retired, stamp(now), nil, nil
}

// stamp returns t in UTC, rounded up to whole seconds.
func stamp(t time.Time) time.Time {
	return t.Add(time.Second - 1).Truncate(time.Second).UTC()
}
