package laternatest_test

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/discovery"
	"laterna.dev/laterna/laternatest"
)

// A service takes tokens of workloads. Its test has a real system issue them, and moves the
// clock to see a token end and its successor be taken.
func ExampleStart() {
	t := test() // in a test, its argument
	defer t.end()

	issuer, err := boundtoken.ParseIssuer("https://localhost")
	if err != nil {
		t.Fatal(err)
	}
	system := laternatest.Start(t, laternatest.Config{Issuers: []boundtoken.Issuer{issuer}})

	issue := func() string {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"shop"}}}
		answer, err := system.Client().CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", request, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status.Token
	}
	keys, err := discovery.NewSource(discovery.SourceConfig{Issuer: issuer, Client: clientOf(t, system)})
	if err != nil {
		t.Fatal(err)
	}
	take := func(token string) {
		verified, err := boundtoken.Verify(t.Context(), token, boundtoken.Expected{
			Issuers: []boundtoken.Issuer{issuer}, Audiences: []string{"shop"}, Keys: keys, Time: system.Now(),
		})
		if err != nil {
			fmt.Println("refused:", err)
			return
		}
		fmt.Println("welcome,", verified.Subject)
	}

	first := issue()
	take(first)
	system.Advance(2 * time.Hour)
	take(first)
	take(issue())
	// Output:
	// welcome, system:serviceaccount:default:default
	// refused: service account token has expired
	// welcome, system:serviceaccount:default:default
}

// clientOf returns a client that believes a system's authority, and to which the issuer's
// name leads to the system.
func clientOf(t *exampleTest, system *laternatest.System) *discovery.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(system.Config().CAData)
	address, err := url.Parse(system.Config().Host)
	if err != nil {
		t.Fatal(err)
	}
	return discovery.NewClient(discovery.ClientConfig{Transport: leadingTo(address.Host, roots)})
}
