package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"laterna.dev/laterna/boundtoken"
)

// formatVersion is the version of the stored form that this program writes. A
// store with a greater one was written by a later program.
const formatVersion = 1

// State is what a key is used for. All keys of a ring are published and
// accepted; exactly one signs.
type State string

const (
	// Active is the state of the key that signs.
	Active State = "active"
	// Accepted is the state of a key that no longer signs, or not yet.
	Accepted State = "accepted"
)

// stored is the ring as it is kept.
type stored struct {
	Version int         `json:"version"`
	Keys    []storedKey `json:"keys"`
}

type storedKey struct {
	// ID repeats what follows from the key, to notice damage.
	ID      string    `json:"id"`
	State   State     `json:"state"`
	Created time.Time `json:"created"`
	// PKCS8 is the private key in PKCS #8 DER form.
	PKCS8 []byte `json:"pkcs8"`
}

// key is a storedKey, ready for use.
type key struct {
	state   State
	created time.Time
	signer  boundtoken.Signer
	pkcs8   []byte
}

func (k key) public() boundtoken.Key { return k.signer.Key() }

func generate(alg boundtoken.Algorithm) (crypto.Signer, error) {
	switch alg {
	case boundtoken.RS256:
		return rsa.GenerateKey(rand.Reader, 2048)
	case boundtoken.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return nil, fmt.Errorf("signing algorithm %q: want %s or %s", alg, boundtoken.RS256, boundtoken.ES256)
}

// newKey makes a key that signs.
func newKey(alg boundtoken.Algorithm, now time.Time) (key, error) {
	private, err := generate(alg)
	if err != nil {
		return key{}, fmt.Errorf("making signing key: %v", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return key{}, fmt.Errorf("encoding signing key: %v", err)
	}
	signer, err := boundtoken.NewSigner(private)
	if err != nil {
		return key{}, err
	}
	return key{state: Active, created: now, signer: signer, pkcs8: der}, nil
}

func encode(ring []key) ([]byte, error) {
	s := stored{Version: formatVersion}
	for _, k := range ring {
		s.Keys = append(s.Keys, storedKey{ID: k.public().ID, State: k.state, Created: k.created.UTC(), PKCS8: k.pkcs8})
	}
	return json.Marshal(s)
}

// decode reads a stored ring. Its errors hold no key material.
func decode(data []byte) ([]key, error) {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("reading signing keys: the stored form is damaged")
	}
	if s.Version != formatVersion {
		return nil, fmt.Errorf("reading signing keys: stored in version %d, this program knows version %d (was the data written by a later release?)", s.Version, formatVersion)
	}
	var ring []key
	for i, sk := range s.Keys {
		k, err := sk.open()
		if err != nil {
			return nil, fmt.Errorf("reading signing keys: key %d: %v", i, err)
		}
		ring = append(ring, k)
	}
	if n := len(slices.Collect(active(ring))); n != 1 {
		return nil, fmt.Errorf("reading signing keys: %d keys are active instead of 1", n)
	}
	return ring, nil
}

func (sk storedKey) open() (key, error) {
	if sk.State != Active && sk.State != Accepted {
		return key{}, fmt.Errorf("unknown state %q", sk.State)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(sk.PKCS8)
	if err != nil {
		return key{}, fmt.Errorf("not a private key")
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return key{}, fmt.Errorf("a %T cannot sign", parsed)
	}
	signer, err := boundtoken.NewSigner(private)
	if err != nil {
		return key{}, err
	}
	if signer.Key().ID != sk.ID {
		return key{}, fmt.Errorf("does not match its ID")
	}
	return key{state: sk.State, created: sk.Created, signer: signer, pkcs8: sk.PKCS8}, nil
}

// active yields the positions of the keys that sign.
func active(ring []key) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i, k := range ring {
			if k.state == Active && !yield(i) {
				return
			}
		}
	}
}

// withActive returns ring with one key of the algorithm active: the ring itself
// if that is so, else one where a key that it holds already, or the one that
// make returns, has taken over. changed tells which.
func withActive(ring []key, alg boundtoken.Algorithm, make func() (key, error)) (next []key, changed bool, err error) {
	for i := range active(ring) {
		if ring[i].public().Algorithm == alg {
			return ring, false, nil
		}
	}
	next = slices.Clone(ring)
	for i := range next {
		next[i].state = Accepted
	}
	fits := func(k key) bool { return k.public().Algorithm == alg }
	if i := slices.IndexFunc(next, fits); i >= 0 {
		next[i].state = Active
		return next, true, nil
	}
	k, err := make()
	if err != nil {
		return nil, false, err
	}
	return append(next, k), true, nil
}
