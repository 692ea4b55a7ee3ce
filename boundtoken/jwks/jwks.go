// Package jwks reads and writes sets of public keys in JWK form (RFC 7517), as
// issuers of tokens publish them. Fetching them over the network is
// boundtoken/discovery's.
package jwks

import (
	"context"
	"crypto"
	"encoding/json"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"laterna.dev/laterna/boundtoken"
)

// MediaType is the content type of a key set (RFC 7517, section 8.5.1).
const MediaType = "application/jwk-set+json"

// Limits on what Parse reads. AWS accepts no more than 100 RSA and 100 EC keys.
const (
	MaxSize = 1 << 20
	MaxKeys = 200
)

// Set is an unchanging set of public keys, safe for concurrent use.
type Set struct {
	keys []boundtoken.Key
	byID map[string][]boundtoken.Key
}

var _ boundtoken.Keys = (*Set)(nil)

// New returns the set of keys, in their order. The first of several that are the
// same key counts.
func New(keys ...boundtoken.Key) *Set {
	s := &Set{byID: map[string][]boundtoken.Key{}}
	for _, k := range keys {
		same := func(o boundtoken.Key) bool { return equal(k, o) }
		if slices.ContainsFunc(s.byID[k.ID], same) {
			continue
		}
		s.keys = append(s.keys, k)
		s.byID[k.ID] = append(s.byID[k.ID], k)
	}
	return s
}

func equal(a, b boundtoken.Key) bool {
	p, ok := a.Public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && p.Equal(b.Public)
}

// Find returns the keys with that ID, or all keys when id is "". The result
// must not be changed.
func (s *Set) Find(id string) []boundtoken.Key {
	if id == "" {
		return s.keys
	}
	return s.byID[id]
}

// Lookup implements boundtoken.Keys: it is Find and never fails.
func (s *Set) Lookup(_ context.Context, id string) ([]boundtoken.Key, error) {
	return s.Find(id), nil
}

// Contains tells whether k is in the set, with the same ID.
func (s *Set) Contains(k boundtoken.Key) bool {
	return slices.ContainsFunc(s.byID[k.ID], func(o boundtoken.Key) bool { return equal(k, o) })
}

// Algorithms returns the algorithms of the keys, sorted, each once.
func (s *Set) Algorithms() []string {
	algs := []string{}
	for _, k := range s.keys {
		algs = append(algs, string(k.Algorithm))
	}
	slices.Sort(algs)
	return slices.Compact(algs)
}

// MarshalJSON returns the set as the API server publishes it: every key with
// use, kty, kid, alg and its parameters.
func (s *Set) MarshalJSON() ([]byte, error) {
	out := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range s.keys {
		out.Keys = append(out.Keys, jose.JSONWebKey{Key: k.Public, KeyID: k.ID, Algorithm: string(k.Algorithm), Use: "sig"})
	}
	return json.Marshal(out)
}
