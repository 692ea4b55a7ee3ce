package discovery_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/discovery"
	"laterna.dev/laterna/boundtoken/jwks"
)

// A source is made once and is the Keys of every Verify; it asks the issuer when it needs
// to.
func ExampleSource() {
	site := httptest.NewUnstartedServer(nil) // an issuer, as its host serves it
	site.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			json.NewEncoder(w).Encode(jwks.New())
			return
		}
		fmt.Println("asked for", r.URL.Path)
		json.NewEncoder(w).Encode(map[string]string{"issuer": site.URL, "jwks_uri": site.URL + "/keys"})
	})
	site.StartTLS()
	defer site.Close()
	roots := x509.NewCertPool()
	roots.AddCert(site.Certificate())

	issuer, err := boundtoken.ParseIssuer(site.URL)
	if err != nil {
		log.Fatal(err)
	}
	source, err := discovery.NewSource(discovery.SourceConfig{
		Issuer: issuer,
		Client: discovery.NewClient(discovery.ClientConfig{Roots: roots}), // without, the machine's authorities count
	})
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		keys, err := source.Lookup(context.Background(), "some key")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(keys), "keys")
	}
	// Output:
	// asked for /.well-known/openid-configuration
	// 0 keys
	// 0 keys
	// 0 keys
}
