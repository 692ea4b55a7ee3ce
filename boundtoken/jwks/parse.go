package jwks

import (
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"laterna.dev/laterna/boundtoken"
)

// Parse reads a key set. Keys that cannot verify tokens (of other types,
// algorithms or uses) are left out, as RFC 7517, section 5, asks. Sets that hold
// a private or a symmetric key, repeat a parameter or exceed MaxSize or MaxKeys
// are refused. A key keeps the ID that the set gives it, or has none.
func Parse(data []byte) (*Set, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("key set of %d bytes is larger than %d", len(data), MaxSize)
	}
	var in struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("key set is not JSON: %v", err)
	}
	if in.Keys == nil {
		return nil, fmt.Errorf("key set has no list %q", "keys")
	}
	if len(in.Keys) > MaxKeys {
		return nil, fmt.Errorf("key set of %d keys holds more than %d", len(in.Keys), MaxKeys)
	}
	var keys []boundtoken.Key
	for i, raw := range in.Keys {
		k, ok, err := parseKey(raw)
		if err != nil {
			return nil, fmt.Errorf("key set, keys[%d]: %v", i, err)
		}
		if ok {
			keys = append(keys, k)
		}
	}
	return New(keys...), nil
}

// parseKey returns a key, or false for one that is not meant for tokens.
func parseKey(raw []byte) (boundtoken.Key, bool, error) {
	var outline struct {
		Type string          `json:"kty"`
		D    json.RawMessage `json:"d"`
		K    json.RawMessage `json:"k"`
	}
	if err := json.Unmarshal(raw, &outline); err != nil {
		return boundtoken.Key{}, false, fmt.Errorf("not a JSON object")
	}
	if outline.D != nil || outline.K != nil {
		return boundtoken.Key{}, false, fmt.Errorf("it is a secret key, which must never be published")
	}
	if outline.Type != "RSA" && outline.Type != "EC" {
		return boundtoken.Key{}, false, nil
	}
	var j jose.JSONWebKey
	if err := j.UnmarshalJSON(raw); err != nil {
		return boundtoken.Key{}, false, fmt.Errorf("not a public key: %v", err)
	}
	k, err := boundtoken.NewKey(j.Key)
	if err != nil || j.Use != "" && j.Use != "sig" || j.Algorithm != "" && j.Algorithm != string(k.Algorithm) {
		return boundtoken.Key{}, false, nil
	}
	k.ID = j.KeyID
	return k, true, nil
}
