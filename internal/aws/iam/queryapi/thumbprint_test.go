package queryapi_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"laterna.dev/laterna/internal/aws/iam/queryapi"
)

func TestThumbprintIsOfTheLastCertificateShown(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	var asked string
	fetch := queryapi.Thumbprints(func(ctx context.Context, network, address string) (net.Conn, error) {
		asked = address
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	})
	sum := sha1.Sum(server.Certificate().Raw)
	for issuer, address := range map[string]string{
		"issuer.example/id": "issuer.example:443", "issuer.example:8443": "issuer.example:8443", "[::1]/x": "[::1]:443",
	} {
		got, err := fetch(t.Context(), issuer)
		if err != nil || got != hex.EncodeToString(sum[:]) || asked != address {
			t.Errorf("%s: %s of %s, %v", issuer, got, asked, err)
		}
	}
	server.Close()
	if got, err := fetch(t.Context(), "issuer.example"); err == nil {
		t.Errorf("of nobody: %s", got)
	}
}
