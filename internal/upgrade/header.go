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

// ForOrigin are the fields of an answer that speak for all of the origin that it comes from.
// That is the server's, where all backends are seen: none of them may say who else reads it,
// that it is to be reached elsewhere or only in some way, what a browser is to forget, or that
// a script of one may serve the pages of all.
var ForOrigin = []string{
	"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods", "Access-Control-Allow-Origin",
	"Alt-Svc", "Clear-Site-Data", "Nel", "Report-To", "Service-Worker-Allowed", "Strict-Transport-Security",
}

// Of returns the protocol that a request wants its connection to become, "" if none.
func Of(r *http.Request) string {
	protocol, _ := upgradeOf(r.Header)
	return protocol
}

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
	setProtocols(out, h)
	return out
}

// wholeToBackend is everything that a client says, but for what says who it is to this
// server.
func wholeToBackend(h http.Header, protocol string) http.Header {
	out := connectionTo(h, protocol)
	out.Del("Authorization")
	setProtocols(out, h)
	return out
}

// wholeToClient is everything that a backend answers, but for ForOrigin and how long there
// would be a body: there is none.
func wholeToClient(h http.Header, protocol string) http.Header {
	out := connectionTo(h, protocol)
	out.Del("Content-Length")
	for _, name := range ForOrigin {
		out.Del(name)
	}
	return out
}

// connectionTo is a header whose fields about its connection are ours.
func connectionTo(h http.Header, protocol string) http.Header {
	out := h.Clone()
	for _, name := range []string{"Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding"} {
		out.Del(name)
	}
	out.Set(headerConnection, headerUpgrade)
	out.Set(headerUpgrade, protocol)
	return out
}

// setProtocols sets the subprotocols that a client names, but for those that hold a token.
func setProtocols(out, h http.Header) {
	if protocols := withoutBearer(h.Values(headerProtocol)); len(protocols) > 0 {
		out.Set(headerProtocol, strings.Join(protocols, ", "))
	} else {
		out.Del(headerProtocol)
	}
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
