package query

import "net"

// WithoutPort returns the host that a request or an issuer names, as it is written, without
// the port that may be there.
func WithoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}
