package awsapis

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/query"
)

// Path is where STS and IAM are served; clients leave the slash away or add it.
const Path = "/aws/"

// cameKey is the context key of a request to STS or IAM, as it came.
type cameKey struct{}

// names are the names of the service by which pods reach STS and IAM.
func names() []string {
	name := "aws." + metav1.NamespaceSystem
	return []string{name, name + ".svc"}
}

// isHost tells whether a host is one of AWS's that this server answers for, to clients
// that are led to it.
func isHost(host string) bool {
	return host == "iam.amazonaws.com" || arn.IsSTSHost(host)
}

// Route leads requests to STS and IAM, by their path or their host, through next to Path.
// Signatures are of a request as it came, so that is kept; and next does not see what is in
// it: it would take the signature for credentials, and write the query with its token into
// the audit log.
func (a *APIs) Route(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isFor(r) {
			next.ServeHTTP(w, r)
			return
		}
		came := r.Clone(r.Context())
		routed := r.WithContext(context.WithValue(r.Context(), cameKey{}, came))
		routed.URL, routed.RequestURI = &url.URL{Path: Path}, Path
		routed.Header = r.Header.Clone()
		routed.Header.Del("Authorization")
		next.ServeHTTP(w, routed)
	})
}

func isFor(r *http.Request) bool {
	switch r.URL.Path {
	case Path, strings.TrimSuffix(Path, "/"):
		return true
	case "", "/":
		host := query.WithoutPort(strings.ToLower(r.Host))
		return isHost(host) || slices.Contains(names(), host) || strings.HasPrefix(host, names()[1]+".")
	}
	return false
}

// ServeHTTP answers what Route led here.
func (a *APIs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	came, ok := r.Context().Value(cameKey{}).(*http.Request)
	if !ok {
		http.NotFound(w, r)
		return
	}
	came = came.WithContext(r.Context())
	came.Body = r.Body // bounded by next
	a.api.ServeHTTP(w, came)
}

// maxHosts is how many regions certificates are issued for; there are fewer.
const maxHosts = 64

// Hosts are hosts of AWS that clients named at handshakes.
type Hosts struct {
	mu    sync.Mutex
	named map[string]bool
}

// Take tells whether a certificate is issued for a host.
func (a *Hosts) Take(host string) bool {
	if !isHost(host) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.named[host] {
		return true
	}
	if len(a.named) >= maxHosts {
		return false
	}
	if a.named == nil {
		a.named = map[string]bool{}
	}
	a.named[host] = true
	return true
}
