package proxy

import (
	"net/url"
	"path"
	"strings"
)

// links leads what a backend links to back through the proxy.
type links struct {
	// prefix is the path under which the backend is seen.
	prefix string
	// backend is its own host and port, client the one that the client named.
	backend, client string
}

// lead returns what a link has to be for a client, and whether that is another. Links to
// other hosts and relative ones stay as they are. So does a path that begins with the
// prefix: an application that knows of the proxy has led it itself.
func (l links) lead(link *url.URL) (string, bool) {
	elsewhere := link.Host != "" && link.Host != l.backend && link.Host != l.client
	if link.Opaque != "" || elsewhere || !strings.HasPrefix(link.Path, "/") {
		return "", false
	}
	led := *link
	if led.Host != l.client || l.client == "" {
		led.Scheme, led.Host = "", ""
	}
	if !strings.HasPrefix(led.Path, l.prefix) {
		led.Path, led.RawPath = l.join(led.Path), ""
	}
	return led.String(), true
}

// join puts a path behind the prefix; a slash at its end stays.
func (l links) join(p string) string {
	joined := path.Join(l.prefix, p)
	if strings.HasSuffix(p, "/") {
		joined += "/"
	}
	return joined
}
