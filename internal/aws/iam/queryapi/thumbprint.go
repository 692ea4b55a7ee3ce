package queryapi

import (
	"context"
	"crypto/sha1" // names certificates, as thumbprints have it; trusts none
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"time"
)

// fetchTimeout is how long the host of an issuer may take to show its certificates.
const fetchTimeout = 5 * time.Second

// Thumbprints returns what fetches the thumbprint of an issuer's host, for Config: that of
// the last certificate which the host shows. It is not verified, as AWS does not: whoever
// registers a provider without thumbprints believes the network in that moment.
func Thumbprints(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context, string) (string, error) {
	return func(ctx context.Context, issuer string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		address, _, _ := strings.Cut(issuer, "/")
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host, address = strings.Trim(address, "[]"), net.JoinHostPort(strings.Trim(address, "[]"), "443")
		}
		raw, err := dial(ctx, "tcp", address)
		if err != nil {
			return "", fmt.Errorf("connecting to %s: %w", address, err)
		}
		defer raw.Close()
		conn := tls.Client(raw, &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
		if err := conn.HandshakeContext(ctx); err != nil {
			return "", fmt.Errorf("asking %s for its certificates: %w", address, err)
		}
		chain := conn.ConnectionState().PeerCertificates
		sum := sha1.Sum(chain[len(chain)-1].Raw)
		return hex.EncodeToString(sum[:]), nil
	}
}
