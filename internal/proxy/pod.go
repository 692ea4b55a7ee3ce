package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/bounded"
)

// InPod returns how a process in a pod reaches the API, as its service account; nil
// outside of pods.
func InPod() (*rest.Config, error) {
	c, err := rest.InClusterConfig()
	if errors.Is(err, rest.ErrNotInCluster) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the credentials of the pod (is its token mounted? automountServiceAccountToken says): %w", err)
	}
	return WithTokenFile(c, c.BearerTokenFile), nil
}

// WithTokenFile returns c with no token but the one that is in a file at the time of each
// request.
func WithTokenFile(c *rest.Config, file string) *rest.Config {
	c = rest.CopyConfig(c)
	c.BearerToken, c.BearerTokenFile = "", ""
	c.Wrap(func(next http.RoundTripper) http.RoundTripper { return tokenFile{file, next} })
	return c
}

// tokenFile sends the token that is in a file: it is replaced there when it is rotated, and
// the former may end at any time.
type tokenFile struct {
	path string
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper. A client's own credentials go first, as with
// kubectl.
func (t tokenFile) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") != "" {
		return t.next.RoundTrip(req)
	}
	raw, err := bounded.File(t.path, bounded.Document)
	if err != nil {
		return nil, fmt.Errorf("reading the pod's token: %w", err)
	}
	out := req.Clone(req.Context())
	out.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(raw)))
	return t.next.RoundTrip(out)
}

// WrappedRoundTripper lets the library find the connections below.
func (t tokenFile) WrappedRoundTripper() http.RoundTripper { return t.next }
