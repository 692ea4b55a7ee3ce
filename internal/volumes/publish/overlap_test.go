package publish_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

// mint has the API server issue real tokens.
func (b *bench) mint() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	signer, err := boundtoken.NewSigner(key)
	if err != nil {
		b.t.Fatal(err)
	}
	b.api.Token = func(namespace, account string, r *authenticationv1.TokenRequest) error {
		lifetime := time.Duration(*r.Spec.ExpirationSeconds) * time.Second
		claims := boundtoken.NewClaims(boundtoken.Grant{
			Namespace: namespace, ServiceAccount: boundtoken.Ref{Name: account, UID: "uid-sa"},
			Pod:      &boundtoken.Ref{Name: r.Spec.BoundObjectRef.Name, UID: string(r.Spec.BoundObjectRef.UID)},
			Audience: []string{"api"}, Lifetime: lifetime,
		}, time.Now())
		claims.Issuer = "https://issuer.example"
		token, err := boundtoken.Mint(context.Background(), signer, claims)
		r.Status.Token, r.Status.ExpirationTimestamp = token.Reveal(), metav1.NewTime(time.Now().Add(lifetime))
		return err
	}
}

// TestTokenIsRenewedWhereATokenIs holds that after a restart, while a source of the volume
// is missing, fresh tokens take the place of tokens and of nothing else: a ConfigMap
// without items may have a key at a token's path, or none.
func TestTokenIsRenewedWhereATokenIs(t *testing.T) {
	for _, tc := range []struct {
		name, key string
		renewed   bool
	}{
		{"the ConfigMap has the file", "token", false},
		{"the ConfigMap has another", "other", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, nil)
			b.mint()
			b.api.Put(fakeapi.ConfigMap("ns", "c", tc.key, "text"))
			b.api.Put(fakeapi.Secret("ns", "s", "password", "old"))
			p := pod("p")
			sources := &p.Spec.Volumes[0].Projected.Sources
			(*sources)[0], (*sources)[1] = (*sources)[1], (*sources)[0] // the later one wins
			*sources = append(*sources, corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}})
			b.setup(p)
			first := b.read(p, "token")
			if (first == "text") == tc.renewed {
				t.Fatalf("at first the token's path shows %d bytes", len(first))
			}
			b.end()
			b.api.Delete("secrets", "ns", "s")
			b.start()
			b.Adopt([]*corev1.Pod{p})
			b.eventually("a look at the sources", func() bool { return b.Snapshot(p.UID)[0].Problem != "" })
			b.tokens.Renew(func(tokencache.Request, tokencache.Token) bool { return true })
			b.eventually("the fresh token", func() bool {
				all := b.Snapshot(p.UID)[0].Tokens
				return len(all) == 1 && b.TokensBehind() == 0
			})
			if got := b.read(p, "token"); (got != first) != tc.renewed {
				t.Errorf("renewed: %v; the token's path shows %d bytes", got != first, len(got))
			}
			if got := b.read(p, "password"); got != "old" {
				t.Errorf("password %q", got)
			}
		})
	}
}
