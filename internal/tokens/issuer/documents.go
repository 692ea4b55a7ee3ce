package issuer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
)

// Where the API server serves the two documents of the active issuer; those of every
// accepted issuer are below its own URL (see Set.Route).
const (
	DiscoveryPath = boundtoken.DiscoveryPath
	JWKSPath      = "/openid/v1/jwks"
)

// maxAge is how long a document may be kept by who reads it: the API server's, with
// keys of its own. A key is published for this long before it signs.
const maxAge = time.Hour

// metadata is the discovery document (OpenID Connect Discovery 1.0, section 3),
// with the fields that the API server gives.
type metadata struct {
	Issuer        string   `json:"issuer"`
	JWKSURI       string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	SigningAlgs   []string `json:"id_token_signing_alg_values_supported"`
}

// Document returns the discovery document of an issuer whose keys are set, published at
// keySetURI.
func Document(issuer, keySetURI string, set *jwks.Set) ([]byte, error) {
	doc, err := json.Marshal(metadata{
		Issuer:        issuer,
		JWKSURI:       keySetURI,
		ResponseTypes: []string{"id_token"},
		SubjectTypes:  []string{"public"},
		SigningAlgs:   set.Algorithms(),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding discovery document: %v", err)
	}
	return doc, nil
}

// KeySetURI is the place of the key set below an issuer.
func KeySetURI(issuer string) string { return strings.TrimSuffix(issuer, "/") + JWKSPath }

// pages are the documents as one state and one set of keys make them.
type pages struct {
	view      *view
	set       *jwks.Set
	keySet    []byte
	discovery map[string][]byte // by issuer; only of those that can be discovered
}

// render returns the documents of now, waiting for the first key.
func (s *Set) render(ctx context.Context) (*pages, error) {
	set, err := s.config.Keys.Keys(ctx)
	if err != nil {
		return nil, err
	}
	v := s.now()
	if p := s.pages.Load(); p != nil && p.set == set && p.view == v {
		return p, nil
	}
	p := &pages{view: v, set: set, discovery: map[string][]byte{}}
	if p.keySet, err = json.Marshal(set); err != nil {
		return nil, fmt.Errorf("encoding key set: %v", err)
	}
	for _, i := range v.accepted {
		if i.Discoverable() != nil {
			continue
		}
		name := i.String()
		if p.discovery[name], err = Document(name, s.keySetURI(name), set); err != nil {
			return nil, err
		}
	}
	s.pages.Store(p)
	return p, nil
}

// Discovery returns the discovery document of an accepted issuer, waiting for the
// first key.
func (s *Set) Discovery(ctx context.Context, issuer string) ([]byte, error) {
	p, err := s.render(ctx)
	if err != nil {
		return nil, err
	}
	if doc, ok := p.discovery[issuer]; ok {
		return doc, nil
	}
	if err := Undiscoverable(issuer); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("issuer %q is not accepted", issuer)
}

// KeySet returns the accepted keys as a JWK set, waiting for the first key.
func (s *Set) KeySet(ctx context.Context) ([]byte, error) {
	p, err := s.render(ctx)
	if err != nil {
		return nil, err
	}
	return p.keySet, nil
}

// DiscoveryHandler serves the discovery document of the issuer that Route found, or
// of the active one; mount it at DiscoveryPath.
func (s *Set) DiscoveryHandler() http.Handler {
	return s.handler("application/json", func(issuer string) bool { return Undiscoverable(issuer) == nil }, s.Discovery)
}

// JWKSHandler serves the key set; mount it at JWKSPath. The documents of all issuers
// lead to the same keys, so it is there as long as one of them can be discovered.
func (s *Set) JWKSHandler() http.Handler {
	there := func(string) bool {
		return slices.ContainsFunc(s.Accepted(), func(i boundtoken.Issuer) bool { return i.Discoverable() == nil })
	}
	return s.handler(jwks.MediaType, there, func(ctx context.Context, _ string) ([]byte, error) { return s.KeySet(ctx) })
}

// handler serves a document to GET and HEAD. As on the API server, an issuer
// that cannot be discovered has no documents.
func (s *Set) handler(mediaType string, there func(issuer string) bool, document func(context.Context, string) ([]byte, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		issuer, ok := r.Context().Value(issuerKey{}).(string)
		if !ok {
			issuer = s.Active()
		}
		if !there(issuer) {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		body, err := document(r.Context(), issuer)
		if err != nil {
			http.Error(w, "signing keys are not ready", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Cache-Control", s.cacheControl())
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method == http.MethodGet {
			w.Write(body)
		}
	})
}

// cacheControl lets nobody keep a document beyond the next change of the keys that is
// known to come.
func (s *Set) cacheControl() string {
	age := maxAge
	if next, ok := s.config.Keys.NextChange(); ok {
		age = min(age, max(next.Sub(s.config.Clock.Now()), 0))
	}
	return "public, max-age=" + strconv.Itoa(int(age/time.Second))
}
