package upgrade

import (
	"net/http"
	"strings"
)

const (
	headerConnection = "Connection"
	headerUpgrade    = "Upgrade"
	headerVersion    = "X-Stream-Protocol-Version"
	headerProtocol   = "Sec-Websocket-Protocol"
	bearerProtocol   = "base64url.bearer.authorization.k8s.io."
)

// asked are the fields of a request that go on to a backend. What says who the client
// is (Authorization, Cookie, X-Remote-*, Impersonate-*, Origin, …) is not among them: a
// backend knows the server by its certificate, and no one else.
var asked = []string{headerVersion, "Sec-Websocket-Key", "Sec-Websocket-Version", headerProtocol, "User-Agent"}

// answered are the fields of an upgrade's answer that go back to a client.
var answered = []string{headerVersion, "Sec-Websocket-Accept", headerProtocol}

// upgradeOf tells whether a request asks for an upgrade, and to what.
func upgradeOf(h http.Header) (protocol string, ok bool) {
	for _, v := range h.Values(headerConnection) {
		if strings.Contains(strings.ToLower(v), "upgrade") {
			protocol = h.Get(headerUpgrade)
			return protocol, protocol != ""
		}
	}
	return "", false
}

// toBackend is what a backend is told of a client's request. A subprotocol that holds a
// bearer token stays here.
func toBackend(h http.Header, protocol string) http.Header {
	out := pick(h, asked)
	out.Set(headerConnection, headerUpgrade)
	out.Set(headerUpgrade, protocol)
	if protocols := withoutBearer(h.Values(headerProtocol)); len(protocols) > 0 {
		out.Set(headerProtocol, strings.Join(protocols, ", "))
	} else {
		out.Del(headerProtocol)
	}
	return out
}

func withoutBearer(values []string) []string {
	var out []string
	for _, v := range values {
		for p := range strings.SplitSeq(v, ",") {
			if p = strings.TrimSpace(p); p != "" && !strings.HasPrefix(p, bearerProtocol) {
				out = append(out, p)
			}
		}
	}
	return out
}

// toClient is what a client is told of a backend's answer.
func toClient(h http.Header, protocol string) http.Header {
	out := pick(h, answered)
	out.Set(headerConnection, headerUpgrade)
	out.Set(headerUpgrade, protocol)
	return out
}

func pick(h http.Header, names []string) http.Header {
	out := http.Header{}
	for _, name := range names {
		if values := h.Values(name); len(values) > 0 {
			out[name] = append([]string(nil), values...)
		}
	}
	return out
}
