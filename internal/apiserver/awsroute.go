package apiserver

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// awsPath is where STS and IAM are served; clients leave the slash away or add it.
const awsPath = "/aws/"

// awsKey is the context key of a request to STS or IAM, as it came.
type awsKey struct{}

// awsNames are the names of the service by which pods reach STS and IAM.
func awsNames() []string {
	name := "aws." + metav1.NamespaceSystem
	return []string{name, name + ".svc"}
}

var awsRegional = regexp.MustCompile(`^sts\.[a-z]{2,4}(-[a-z]{2,12}){1,2}-[0-9]{1,2}\.amazonaws\.com(\.cn)?$`)

// isAWSHost tells whether a host is one of AWS's that this server answers for, to clients
// that are led to it.
func isAWSHost(host string) bool {
	return host == "sts.amazonaws.com" || host == "iam.amazonaws.com" || len(host) < 80 && awsRegional.MatchString(host)
}

// route leads requests to STS and IAM, by their path or their host, through next to awsPath.
// Signatures are of a request as it came, so that is kept; and next does not see what is in
// it: it would take the signature for credentials, and write the query with its token into
// the audit log.
func (a *awsAPIs) route(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isAWSRequest(r) {
			next.ServeHTTP(w, r)
			return
		}
		came := r.Clone(r.Context())
		routed := r.WithContext(context.WithValue(r.Context(), awsKey{}, came))
		routed.URL, routed.RequestURI = &url.URL{Path: awsPath}, awsPath
		routed.Header = r.Header.Clone()
		routed.Header.Del("Authorization")
		next.ServeHTTP(w, routed)
	})
}

func isAWSRequest(r *http.Request) bool {
	switch r.URL.Path {
	case awsPath, strings.TrimSuffix(awsPath, "/"):
		return true
	case "", "/":
		host := strings.ToLower(r.Host)
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		return isAWSHost(host) || slices.Contains(awsNames(), host) || strings.HasPrefix(host, awsNames()[1]+".")
	}
	return false
}

// ServeHTTP answers what route led here.
func (a *awsAPIs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	came, ok := r.Context().Value(awsKey{}).(*http.Request)
	if !ok {
		http.NotFound(w, r)
		return
	}
	came = came.WithContext(r.Context())
	came.Body = r.Body // bounded by next
	a.api.ServeHTTP(w, came)
}

// maxAWSHosts is how many regions certificates are issued for; there are fewer.
const maxAWSHosts = 64

// awsHosts are hosts of AWS that clients named at handshakes.
type awsHosts struct {
	mu    sync.Mutex
	named map[string]bool
}

// take tells whether a certificate is issued for a host.
func (a *awsHosts) take(host string) bool {
	if !isAWSHost(host) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.named[host] {
		return true
	}
	if len(a.named) >= maxAWSHosts {
		return false
	}
	if a.named == nil {
		a.named = map[string]bool{}
	}
	a.named[host] = true
	return true
}
