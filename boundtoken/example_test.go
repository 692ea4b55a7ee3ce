package boundtoken_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
)

// An issuer mints a token, a recipient verifies it.
func Example() {
	ctx := context.Background()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := boundtoken.NewSigner(private)
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := boundtoken.ParseIssuer("https://tokens.example")
	if err != nil {
		log.Fatal(err)
	}
	now := time.Now()
	claims := boundtoken.NewClaims(boundtoken.Grant{
		Namespace:      "default",
		ServiceAccount: boundtoken.Ref{Name: "robot", UID: "8a4c"},
		Audience:       []string{"shop"},
		Lifetime:       time.Hour,
	}, now)
	claims.Issuer = issuer.String()
	token, err := boundtoken.Mint(ctx, signer, claims)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("printed, a token is", token)

	expected := boundtoken.Expected{
		Issuers:   []boundtoken.Issuer{issuer},
		Audiences: []string{"shop"},
		Keys:      jwks.New(signer.Key()),
		Time:      now,
	}
	verified, err := boundtoken.Verify(ctx, token.Reveal(), expected)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(verified.Subject.Name(), "of", verified.Subject.Namespace())

	expected.Audiences = []string{"bank"}
	_, err = boundtoken.Verify(ctx, token.Reveal(), expected)
	fmt.Println(boundtoken.ReasonOf(err))
	// Output:
	// printed, a token is [redacted]
	// robot of default
	// WrongAudience
}

func ExampleParseSubject() {
	for _, text := range []string{"system:serviceaccount:default:robot", "system:serviceaccount:default:robot:admin"} {
		subject, err := boundtoken.ParseSubject(text)
		if err != nil {
			fmt.Println("refused:", err)
			continue
		}
		fmt.Println(subject.Namespace(), subject.Name())
	}
	// Output:
	// default robot
	// refused: subject "system:serviceaccount:default:robot:admin": name "robot:admin" of a service account is not a lower case RFC 1123 subdomain
}

func ExampleIssuer_Discoverable() {
	for _, text := range []string{"https://tokens.example/tenant", "http://tokens.example"} {
		issuer, err := boundtoken.ParseIssuer(text)
		if err != nil {
			log.Fatal(err)
		}
		if err := issuer.Discoverable(); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(issuer.DiscoveryURL())
	}
	// Output:
	// https://tokens.example/tenant/.well-known/openid-configuration
	// issuer "http://tokens.example" is not an https URL
}
