package podcertificaterequest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func key(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func asked(t testing.TB, k crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func issued(t testing.TB, k *ecdsa.PrivateKey, c x509.Certificate) string {
	t.Helper()
	c.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func of(der []byte, change func(*certificatesv1.PodCertificateRequestSpec)) *pcr {
	r := &pcr{Spec: certificatesv1.PodCertificateRequestSpec{SignerName: "example.com/a", PodName: "p", PodUID: "1", ServiceAccountName: "s", ServiceAccountUID: "2",
		NodeName: "n", NodeUID: "3", StubPKCS10Request: der}}
	if change != nil {
		change(&r.Spec)
	}
	Definition(Config{}).Default(r)
	return r
}

func TestRequestsThatAreRefused(t *testing.T) {
	type s = certificatesv1.PodCertificateRequestSpec
	der := asked(t, key(t, elliptic.P256()))
	broken := append([]byte{}, der...)
	broken[len(broken)-1] ^= 1
	for name, tc := range map[string]struct {
		change func(*s)
		want   string
	}{
		"good":   {nil, "<nil>"},
		"signer": {func(s *s) { s.SignerName = "a" }, "spec.signerName: Invalid value"},
		"pod":    {func(s *s) { s.PodName, s.PodUID = "", "" }, `spec.podUID: Invalid value: "": must not be empty`},
		"node":   {func(s *s) { s.NodeName = "A" }, "spec.nodeName: Invalid value"},
		"long UID": {func(s *s) {
			s.ServiceAccountUID = "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
		}, "spec.serviceAccountUID: Too long"},
		"short":       {func(s *s) { s.MaxExpirationSeconds = new(int32(3599)) }, "must be in the range [3600, 7862400]"},
		"long":        {func(s *s) { s.SignerName, s.MaxExpirationSeconds = "kubernetes.io/a", new(int32(86401)) }, "must be in the range [3600, 86400]"},
		"no request":  {func(s *s) { s.StubPKCS10Request = nil }, "spec.stubPKCS10Request: Required value"},
		"odd request": {func(s *s) { s.StubPKCS10Request = []byte("x") }, "must be a valid PKCS#10 certificate signing request"},
		"broken":      {func(s *s) { s.StubPKCS10Request = broken }, "could not verify the signature of the request"},
		"curve":       {func(s *s) { s.StubPKCS10Request = asked(t, key(t, elliptic.P224())) }, "elliptic public keys must use curve P256, P384 or P521"},
		"annotations": {func(s *s) { s.UnverifiedUserAnnotations = map[string]string{"a b": ""} }, "spec.unverifiedUserAnnotations: Invalid value"},
	} {
		if got := fmt.Sprint(validate(of(der, tc.change)).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	d := Definition(Config{})
	if errs := d.Rules.ValidateUpdate(t.Context(), of(nil, nil), of(der, nil)); len(errs) != 1 {
		t.Errorf("another request: %v", errs)
	}
}

func TestWhatSignersMaySay(t *testing.T) {
	k := key(t, elliptic.P256())
	old := of(asked(t, k), nil)
	leaf := x509.Certificate{NotBefore: noon, NotAfter: noon.Add(2 * time.Hour)}
	at := func(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }
	ends := func(kind string) func(*certificatesv1.PodCertificateRequestStatus) {
		return func(s *certificatesv1.PodCertificateRequestStatus) {
			s.Conditions = []metav1.Condition{{Type: kind, Status: metav1.ConditionTrue, Reason: "A", LastTransitionTime: *at(noon)}}
		}
	}
	status := func(changes ...func(*certificatesv1.PodCertificateRequestStatus)) *pcr {
		r := old.DeepCopy()
		for _, change := range changes {
			change(&r.Status)
		}
		return r
	}
	full := func(c x509.Certificate, changes ...func(*certificatesv1.PodCertificateRequestStatus)) *pcr {
		return status(append([]func(*certificatesv1.PodCertificateRequestStatus){ends("Issued"), func(s *certificatesv1.PodCertificateRequestStatus) {
			s.CertificateChain, s.NotBefore, s.NotAfter, s.BeginRefreshAt = issued(t, k, c), at(c.NotBefore), at(c.NotAfter), at(c.NotBefore.Add(time.Hour))
		}}, changes...)...)
	}
	type st = certificatesv1.PodCertificateRequestStatus
	good := full(leaf)
	for name, tc := range map[string]struct {
		now, old *pcr
		want     string
	}{
		"issued":      {good, old, "<nil>"},
		"denied":      {status(ends("Denied")), old, "<nil>"},
		"again":       {good, good, "<nil>"},
		"changed":     {status(ends("Denied")), good, "status: Invalid value: immutable after PodCertificateRequest is issued, denied, or failed"},
		"nothing":     {status(func(s *st) { s.CertificateChain = "x" }), old, `status is immutable unless transitioning to "Issued", "Denied", or "Failed"`},
		"denied, too": {full(leaf, ends("Failed")), old, "non-condition status fields must be empty"},
		"unknown":     {status(ends("Odd")), old, `status.conditions[0].type: Unsupported value: "Odd": supported values: "Issued", "Denied", "Failed"`},
		"two": {status(func(s *st) {
			ends("Denied")(s)
			c := s.Conditions
			ends("Failed")(s)
			s.Conditions = append(c, s.Conditions...)
		}), old, "There may be at most one condition"},
		"no chain":     {full(leaf, func(s *st) { s.CertificateChain = "" }), old, "issued certificate chain must contain at least one certificate"},
		"key":          {full(leaf, func(s *st) { s.CertificateChain = "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n" }), old, "must consist entirely of CERTIFICATE PEM blocks"},
		"odd chain":    {full(leaf, func(s *st) { s.CertificateChain += "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" }), old, "intermediate certificate does not parse as valid X.509"},
		"other key":    {full(leaf, func(s *st) { s.CertificateChain = issued(t, key(t, elliptic.P256()), leaf) }), old, "leaf certificate was not issued to the requested public key"},
		"name":         {full(x509.Certificate{NotBefore: noon, NotAfter: leaf.NotAfter, DNSNames: []string{"a..b"}}), old, "leaf certificate's DNSName should not contain '..'"},
		"no times":     {full(leaf, func(s *st) { s.NotAfter = nil }), old, "status.notAfter: Required value"},
		"other time":   {full(leaf, func(s *st) { s.NotBefore = at(noon.Add(time.Second)) }), old, "must be set to the NotBefore time encoded in the leaf certificate"},
		"long ago":     {full(x509.Certificate{NotBefore: noon.Add(-5 * time.Minute), NotAfter: leaf.NotAfter}), old, "must be set to within 5 minutes of kube-apiserver's current time"},
		"short":        {full(x509.Certificate{NotBefore: noon, NotAfter: noon.Add(time.Minute)}), old, "leaf certificate lifetime must be >= 1 hour"},
		"long":         {full(x509.Certificate{NotBefore: noon, NotAfter: noon.Add(25 * time.Hour)}), old, "leaf certificate lifetime must be <= spec.maxExpirationSeconds (86400)"},
		"early":        {full(leaf, func(s *st) { s.BeginRefreshAt = at(noon) }), old, "must be at least 10 minutes after status.notBefore"},
		"late":         {full(leaf, func(s *st) { s.BeginRefreshAt = s.NotAfter }), old, "must be at least 10 minutes before status.notAfter"},
		"not in chain": {full(leaf, func(s *st) { s.CertificateChain = strings.Repeat("a", maxChain+1) }), old, "status.certificateChain: Too long"},
	} {
		if got := fmt.Sprint(validateStatus(tc.now, tc.old, noon).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	for want, r := range map[string]*pcr{"Issued": good, "Pending": old} {
		if row := columns().Row(r); row[5] != want {
			t.Errorf("row %v, want %s", row, want)
		}
	}
}

func TestWhoMaySign(t *testing.T) {
	signs := authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.GetVerb() == "sign" && a.GetName() == "example.com/*" {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	})
	d := Definition(Config{Authorizer: signs, Wall: clock.WallOf(clocktesting.NewFakeClock(noon))})
	ctx := request.WithUser(t.Context(), &user.DefaultInfo{Name: "bob"})
	ours, theirs := of(nil, nil), of(nil, func(s *certificatesv1.PodCertificateRequestSpec) { s.SignerName = "example.org/a" })
	status := request.WithRequestInfo(ctx, &request.RequestInfo{Subresource: "status"})
	if err := d.Permit(status, ours, ours); err != nil {
		t.Errorf("its signer: %v", err)
	}
	if err := d.Permit(status, ours, theirs); err == nil {
		t.Error("another signer signs")
	}
	if err := d.Permit(ctx, theirs, theirs); err != nil {
		t.Errorf("labels: %v", err)
	}
	now := of(nil, func(s *certificatesv1.PodCertificateRequestSpec) { s.PodName = "other" })
	now.Labels = map[string]string{"a": "b"}
	d.Status.PrepareUpdate(t.Context(), now, ours)
	if now.Labels != nil || now.Spec.PodName != "p" {
		t.Errorf("got %+v", now)
	}
}
