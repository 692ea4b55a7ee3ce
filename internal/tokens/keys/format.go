package keys

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	"laterna.dev/laterna/boundtoken"
)

// formatVersion is the version of the stored form that this program writes. A
// store with a greater one was written by a later program.
const formatVersion = 2

// stored is the ring as it is kept.
type stored struct {
	Version int `json:"version"`
	// Algorithm is what the flag asked for when it was last heeded.
	Algorithm boundtoken.Algorithm `json:"algorithm"`
	Keys      []storedKey          `json:"keys"`
}

type storedKey struct {
	// ID repeats what follows from the key, to notice damage.
	ID        string    `json:"id"`
	State     State     `json:"state"`
	Published time.Time `json:"published"`
	SignsFrom time.Time `json:"signsFrom"`
	RetiredAt time.Time `json:"retiredAt,omitzero"`
	LastEnd   time.Time `json:"lastEnd,omitzero"`
	// PKCS8 is the private key in PKCS #8 DER form; PKIX is the public key in PKIX
	// DER form, of a key that has retired and has no private half any more.
	PKCS8 []byte `json:"pkcs8,omitempty"`
	PKIX  []byte `json:"pkix,omitempty"`
}

func encode(s *state) ([]byte, error) {
	out := stored{Version: formatVersion, Algorithm: s.algorithm}
	for i := range s.keys {
		k := &s.keys[i]
		sk := storedKey{
			ID: k.ID, State: k.State,
			Published: k.Published, SignsFrom: k.SignsFrom, RetiredAt: k.RetiredAt, LastEnd: k.LastEnd,
			PKCS8: k.pkcs8,
		}
		if k.State == Retired {
			var err error
			if sk.PKIX, err = x509.MarshalPKIXPublicKey(k.Public); err != nil {
				return nil, fmt.Errorf("encoding signing key %s: %v", k.ID, err)
			}
		}
		out.Keys = append(out.Keys, sk)
	}
	data, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encoding signing keys: %v", err)
	}
	return data, nil
}

// decode reads a stored ring. now is when keys of the first stored form are said to
// have retired, as that form does not tell. Its errors hold no key material.
func decode(data []byte, now time.Time) (state, error) {
	s, err := read(data, now)
	if err != nil {
		return state{}, fmt.Errorf("reading signing keys: %v", err)
	}
	return s, nil
}

func read(data []byte, now time.Time) (state, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return state{}, errDamaged
	}
	switch head.Version {
	case 1:
		return readFirst(data, now)
	case formatVersion:
	default:
		return state{}, fmt.Errorf("stored in version %d, this program knows version %d (was the data written by a later release?)", head.Version, formatVersion)
	}
	var in stored
	if err := strictly(data, &in); err != nil {
		return state{}, err
	}
	s := state{algorithm: in.Algorithm}
	for i := range in.Keys {
		k, err := in.Keys[i].open()
		if err != nil {
			return state{}, fmt.Errorf("key %d: %v", i, err)
		}
		s.keys = append(s.keys, k)
	}
	return s, s.check()
}

var errDamaged = fmt.Errorf("the stored form is damaged")

// strictly decodes JSON whose fields are all known: one that is not would be lost when
// the ring is next written.
func strictly(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil || d.More() {
		return errDamaged
	}
	return nil
}

// check tells whether the keys can be those of a ring.
func (s *state) check() error {
	count := map[State]int{}
	seen := map[string]bool{}
	for i := range s.keys {
		k := &s.keys[i]
		if seen[k.ID] {
			return fmt.Errorf("key %d is there twice", i)
		}
		seen[k.ID] = true
		count[k.State]++
	}
	switch {
	case count[Signing] != 1:
		return fmt.Errorf("%d keys sign instead of 1", count[Signing])
	case count[Upcoming] > 1:
		return fmt.Errorf("%d keys are upcoming, want at most 1", count[Upcoming])
	case !s.algorithm.Valid():
		return fmt.Errorf("unknown algorithm %q", s.algorithm)
	}
	return nil
}

func (sk *storedKey) open() (key, error) {
	var k key
	var err error
	switch sk.State {
	case Upcoming, Signing:
		k, err = readPrivate(sk.PKCS8)
	case Retired:
		k, err = readPublic(sk.PKIX)
	default:
		return key{}, fmt.Errorf("unknown state %q", sk.State)
	}
	if err != nil {
		return key{}, err
	}
	if k.ID != sk.ID {
		return key{}, fmt.Errorf("does not match its ID")
	}
	k.State = sk.State
	k.Published, k.SignsFrom = sk.Published.UTC(), sk.SignsFrom.UTC()
	k.RetiredAt, k.LastEnd = sk.RetiredAt.UTC(), sk.LastEnd.UTC()
	return k, nil
}

func readPrivate(der []byte) (key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return key{}, fmt.Errorf("not a private key")
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return key{}, fmt.Errorf("a %T cannot sign", parsed)
	}
	return openPrivate(private, der)
}

func readPublic(der []byte) (key, error) {
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return key{}, fmt.Errorf("not a public key")
	}
	k, err := boundtoken.NewKey(public)
	if err != nil {
		return key{}, err
	}
	t, err := typeOf(public)
	if err != nil {
		return key{}, err
	}
	return key{Key: Key{Key: k, Type: t}}, nil
}
