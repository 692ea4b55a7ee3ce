package issuer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"

	"laterna.dev/laterna/boundtoken/jwks"
)

// Where the API server serves the two documents.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	JWKSPath      = "/openid/v1/jwks"
)

// cacheControl is that of the API server with keys of its own.
const cacheControl = "public, max-age=3600"

// metadata is the discovery document (OpenID Connect Discovery 1.0, section 3),
// with the fields that the API server gives.
type metadata struct {
	Issuer        string   `json:"issuer"`
	JWKSURI       string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	SigningAlgs   []string `json:"id_token_signing_alg_values_supported"`
}

// documents renders the two documents, anew whenever the keys change.
type documents struct {
	issuer, uri string
	keys        KeySource
	hidden      error // why they are not served, or nil
	last        atomic.Pointer[rendered]
}

type rendered struct {
	set               *jwks.Set
	discovery, keySet []byte
}

func (d *documents) get(ctx context.Context) (*rendered, error) {
	set, err := d.keys.Keys(ctx)
	if err != nil {
		return nil, err
	}
	if r := d.last.Load(); r != nil && r.set == set {
		return r, nil
	}
	r := &rendered{set: set}
	r.discovery, err = json.Marshal(metadata{
		Issuer:        d.issuer,
		JWKSURI:       d.uri,
		ResponseTypes: []string{"id_token"},
		SubjectTypes:  []string{"public"},
		SigningAlgs:   set.Algorithms(),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding discovery document: %v", err)
	}
	if r.keySet, err = json.Marshal(set); err != nil {
		return nil, fmt.Errorf("encoding key set: %v", err)
	}
	d.last.Store(r)
	return r, nil
}

// Discovery returns the discovery document of the active issuer, waiting for the
// first key.
func (s *Set) Discovery(ctx context.Context) ([]byte, error) {
	r, err := s.documents.get(ctx)
	if err != nil {
		return nil, err
	}
	return r.discovery, nil
}

// KeySet returns the accepted keys as a JWK set, waiting for the first key.
func (s *Set) KeySet(ctx context.Context) ([]byte, error) {
	r, err := s.documents.get(ctx)
	if err != nil {
		return nil, err
	}
	return r.keySet, nil
}

// DiscoveryHandler serves the discovery document; mount it at DiscoveryPath.
func (s *Set) DiscoveryHandler() http.Handler {
	return s.documents.handler("application/json", s.Discovery)
}

// JWKSHandler serves the key set; mount it at JWKSPath.
func (s *Set) JWKSHandler() http.Handler {
	return s.documents.handler(jwks.MediaType, s.KeySet)
}

// handler serves a document to GET and HEAD. As on the API server, an issuer
// that cannot be discovered has no documents.
func (d *documents) handler(mediaType string, document func(context.Context) ([]byte, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.hidden != nil {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		body, err := document(r.Context())
		if err != nil {
			http.Error(w, "signing keys are not ready", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Cache-Control", cacheControl)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method == http.MethodGet {
			w.Write(body)
		}
	})
}
