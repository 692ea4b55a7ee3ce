package proxy

import (
	"net/http"
	"net/url"
)

// ownPages lets pages of other sites act no more than the filter lets them name other hosts:
// a browser opens a WebSocket to any address for any page, and sends a simple request before
// it asks whether the page may read the answer. Browsers say which page asks; programs say
// nothing, or name the host that they ask.
func ownPages(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if foreign(r) {
			http.Error(w, "Forbidden: a page of another site asks", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// foreign tells whether a page of another site has sent a request. A link that somebody
// follows is not such a request.
func foreign(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		return err != nil || u.Host == "" || u.Host != r.Host
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if site != "cross-site" && site != "same-site" {
		return false
	}
	followed := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return !followed
}
