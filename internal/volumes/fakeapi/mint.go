package fakeapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/boundtoken"
)

// MintTokens has the server issue real tokens, which name the pod that they are for, in
// place of short texts. It is called before the server is used.
func (s *Server) MintTokens(t testing.TB) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := boundtoken.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	s.Token = func(namespace, account string, r *authenticationv1.TokenRequest) error {
		lifetime := time.Duration(*r.Spec.ExpirationSeconds) * time.Second
		uid := "uid-" + account
		if known := s.uid("serviceaccounts/" + namespace + "/" + account); known != "" {
			uid = known
		}
		claims := boundtoken.NewClaims(boundtoken.Grant{
			Namespace: namespace, ServiceAccount: boundtoken.Ref{Name: account, UID: uid},
			Pod:      &boundtoken.Ref{Name: r.Spec.BoundObjectRef.Name, UID: string(r.Spec.BoundObjectRef.UID)},
			Audience: []string{"api"}, Lifetime: lifetime,
		}, time.Now())
		claims.Issuer = "https://issuer.example"
		token, err := boundtoken.Mint(context.Background(), signer, claims)
		r.Status.Token, r.Status.ExpirationTimestamp = token.Reveal(), metav1.NewTime(time.Now().Add(lifetime))
		return err
	}
}

// uid is that of an object, "" when there is none.
func (s *Server) uid(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if object := s.objects[key]; object != nil {
		return string(object.GetUID())
	}
	return ""
}
