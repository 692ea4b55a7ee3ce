package issuer

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// descriptions is where OpenAPI describes the documents, below which their names stand, too.
const descriptions = "/openapi/v3"

// issuerKey is the context key of the issuer whose document is asked for.
type issuerKey struct{}

// Route makes the documents of every accepted issuer reachable: a request for one
// below an issuer's path, or at an issuer's host, reaches next at DiscoveryPath or
// JWKSPath, so that the same rights hold for all of them, and the handlers there answer
// for that issuer. Everything else passes as it is.
//
// An issuer of another host is served too where only one accepted issuer has the
// path: relying parties may reach this server under another name than the issuer's.
func (s *Set) Route(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		prefix, document, ok := documentOf(r.URL.Path)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		issuer, ok := s.at(r.Host, prefix)
		if !ok {
			switch prefix {
			case "":
				issuer = s.Active()
			case descriptions:
				next.ServeHTTP(w, r)
				return
			default:
				http.NotFound(w, r)
				return
			}
		}
		routed := r.WithContext(context.WithValue(r.Context(), issuerKey{}, issuer))
		routed.URL = &url.URL{Path: document, RawQuery: r.URL.RawQuery}
		next.ServeHTTP(w, routed)
	})
}

// documentOf splits the path of a document into the issuer's path, without a slash at
// its end, and the document.
func documentOf(path string) (prefix, document string, ok bool) {
	path = strings.TrimSuffix(path, "/")
	for _, document := range []string{DiscoveryPath, JWKSPath} {
		if prefix, ok := strings.CutSuffix(path, document); ok {
			return strings.TrimSuffix(prefix, "/"), document, true
		}
	}
	return "", "", false
}

// at finds the accepted issuer with a path and, better, also the host.
func (s *Set) at(host, path string) (issuer string, ok bool) {
	host = strings.ToLower(withoutPort(host))
	found := 0
	for _, i := range s.Accepted() {
		u, err := url.Parse(i.String())
		if err != nil || i.Discoverable() != nil || strings.TrimSuffix(u.Path, "/") != path {
			continue
		}
		if strings.ToLower(u.Hostname()) == host {
			return i.String(), true
		}
		issuer = i.String()
		found++
	}
	return issuer, found == 1 && path != ""
}

func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}
