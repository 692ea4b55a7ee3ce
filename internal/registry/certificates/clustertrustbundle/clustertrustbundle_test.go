package clustertrustbundle

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// anchor is a certificate of an authority, or of nobody, in PEM.
func anchor(t testing.TB, authority bool) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: authority, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func of(name, signer, text string) *bundle {
	b := &bundle{}
	b.Name, b.Spec.SignerName, b.Spec.TrustBundle = name, signer, text
	return b
}

func TestBundlesThatAreRefused(t *testing.T) {
	good := anchor(t, true)
	for name, tc := range map[string]struct {
		bundle *bundle
		want   string
	}{
		"good":          {of("a", "", good+anchor(t, true)), "<nil>"},
		"of a signer":   {of("example.com:a:b", "example.com/a", good), "<nil>"},
		"colon":         {of("a:b", "", good), `ClusterTrustBundle without signer name must not have ":" in its name`},
		"other prefix":  {of("a", "example.com/a", good), "ClusterTrustBundle for signerName example.com/a must be named with prefix example.com:a:"},
		"odd name":      {of("example.com:a:B", "example.com/a", good), "metadata.name: Invalid value"},
		"signer":        {of("a:b", "a", good), "spec.signerName: Invalid value"},
		"empty":         {of("a", "", "x"), "at least one trust anchor must be provided"},
		"twice":         {of("a", "", good+good), "duplicate trust anchor (indices [0 1])"},
		"no authority":  {of("a", "", anchor(t, false)), "entry 0 does not have the CA bit set"},
		"key":           {of("a", "", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"), "entry 0 has bad block type: PRIVATE KEY"},
		"no X.509":      {of("a", "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "entry 0 does not parse as X.509"},
		"headers":       {of("a", "", strings.Replace(good, "-----\n", "-----\na: b\n\n", 1)), "entry 0 has PEM block headers"},
		"too much text": {of("a", "", strings.Repeat("a", largest+1)), "spec.trustBundle: Too long"},
	} {
		if got := fmt.Sprint(Definition(nil).Rules.Validate(t.Context(), tc.bundle).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	rules := Definition(nil).Rules
	old := of("a", "", "x")
	if errs := rules.ValidateUpdate(t.Context(), old, old); len(errs) > 0 {
		t.Errorf("what was there is refused: %v", errs)
	}
	if errs := rules.ValidateUpdate(t.Context(), of("example.com:a:b", "example.com/a", good), old); len(errs) != 1 {
		t.Errorf("another signer: %v", errs)
	}
}

func TestWhoMayAttest(t *testing.T) {
	attests := authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.GetVerb() == "attest" && a.GetName() == "example.com/a" {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionDeny, "", nil
	})
	d := Definition(attests)
	ctx := request.WithUser(t.Context(), &user.DefaultInfo{Name: "bob"})
	for b, want := range map[*bundle]bool{of("a", "", ""): true, of("a", "example.com/a", ""): true, of("a", "example.com/b", ""): false} {
		for _, err := range []error{d.PermitCreate(ctx, b), d.Permit(ctx, b, b)} {
			if (err == nil) != want || err != nil && !apierrors.IsForbidden(err) {
				t.Errorf("%s: %v", b.Spec.SignerName, err)
			}
		}
	}
	if row := d.Columns.Row(of("a", "", "")); row[1] != "<none>" {
		t.Errorf("row %v", row)
	}
}
