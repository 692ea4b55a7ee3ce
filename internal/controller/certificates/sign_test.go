package certificates

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/pki"
)

const (
	kubelet = certificatesv1.KubeAPIServerClientKubeletSignerName
	serving = certificatesv1.KubeletServingSignerName
	clients = certificatesv1.KubeAPIServerClientSignerName
)

type usages = []certificatesv1.KeyUsage

type extra = certificatesv1.ExtraValue

// node is what a node asks for as whom it is.
func node(change func(*x509.CertificateRequest)) *x509.CertificateRequest {
	r := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:a", Organization: []string{"system:nodes"}}}
	if change != nil {
		change(r)
	}
	return r
}

// requestOf is a stored request, in PEM.
func requestOf(t testing.TB, name, signer string, asked *x509.CertificateRequest, u ...certificatesv1.KeyUsage) *csr {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, asked, key)
	if err != nil {
		t.Fatal(err)
	}
	return &csr{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "u", CreationTimestamp: metav1.Now()},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: signer, Usages: u, Username: asked.Subject.CommonName, Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		},
	}
}

func has(types ...certificatesv1.RequestConditionType) func(*csr) {
	return func(r *csr) {
		for _, t := range types {
			r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: t, Status: corev1.ConditionTrue, LastUpdateTime: metav1.Now()})
		}
	}
}

func TestWhatSignersTake(t *testing.T) {
	dns := func(r *x509.CertificateRequest) { r.DNSNames = []string{"a"} }
	and := func(all ...func(*x509.CertificateRequest)) func(*x509.CertificateRequest) {
		return func(r *x509.CertificateRequest) {
			for _, f := range all {
				f(r)
			}
		}
	}
	ip := func(r *x509.CertificateRequest) { r.IPAddresses = []net.IP{{10, 0, 0, 1}} }
	email := func(r *x509.CertificateRequest) { r.EmailAddresses = []string{"a@b"} }
	uri := func(r *x509.CertificateRequest) { r.URIs = []*url.URL{{Scheme: "spiffe"}} }
	org := func(r *x509.CertificateRequest) {
		r.Subject.Organization = append(r.Subject.Organization, "system:masters")
	}
	name := func(r *x509.CertificateRequest) { r.Subject.CommonName = "ann" }
	asClient, asServer := usages{"client auth", "digital signature", "key encipherment"}, usages{"digital signature", "server auth"}
	for _, tc := range []struct {
		signer string
		change func(*x509.CertificateRequest)
		usages usages
		want   string
	}{
		{clients, and(name, org, dns), asClient, "<nil>"},
		{clients, name, usages{"client auth"}, "<nil>"},
		{clients, name, usages{"digital signature"}, "missing required usage for client certificate: client auth"},
		{clients, name, usages{"client auth", "server auth"}, "invalid usage for client certificate: server auth"},
		{kubelet, nil, asClient, "<nil>"},
		{kubelet, nil, usages{"digital signature", "client auth"}, "<nil>"},
		{kubelet, nil, usages{"client auth"}, "usages did not match [client auth digital signature key encipherment]"},
		{kubelet, nil, asServer, "usages did not match [client auth digital signature key encipherment]"},
		{kubelet, org, asClient, "subject organization is not system:nodes"},
		{kubelet, name, asClient, "subject common name does not begin with system:node:"},
		{kubelet, dns, asClient, "DNS subjectAltNames are not allowed"},
		{kubelet, email, asClient, "Email subjectAltNames are not allowed"},
		{kubelet, ip, asClient, "IP subjectAltNames are not allowed"},
		{kubelet, uri, asClient, "URI subjectAltNames are not allowed"},
		{serving, dns, asServer, "<nil>"},
		{serving, ip, slices.Concat(asServer, usages{"key encipherment"}), "<nil>"},
		{serving, nil, asServer, "DNS or IP subjectAltName is required"},
		{serving, and(dns, email), asServer, "Email subjectAltNames are not allowed"},
		{serving, and(dns, uri), asServer, "URI subjectAltNames are not allowed"},
		{serving, dns, asClient, "usages did not match [digital signature key encipherment server auth]"},
		{serving, and(dns, org), asServer, "subject organization is not system:nodes"},
		{serving, and(dns, name), asServer, "subject common name does not begin with system:node:"},
	} {
		if got := fmt.Sprint(judgeOf(tc.signer)(node(tc.change), tc.usages)); got != tc.want {
			t.Errorf("%s, %v: %s, want %s", tc.signer, tc.usages, got, tc.want)
		}
	}
	for _, other := range []string{"example.com/a", "kubernetes.io/other", "kubernetes.io/legacy-unknown"} {
		if judgeOf(other) != nil {
			t.Errorf("requests of %s are signed", other)
		}
	}
}

func TestLifeOfCertificates(t *testing.T) {
	for want, seconds := range map[time.Duration]*int32{
		pki.LongestAsked: nil, time.Hour: new(int32(3600)), 10 * time.Minute: new(int32(1)),
	} {
		if got := life(seconds); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := life(new(int32(1 << 30))); got != pki.LongestAsked {
		t.Errorf("as long as is asked for: %s", got)
	}
}

func TestUsesOfCertificates(t *testing.T) {
	got := uses(usages{"client auth", "key encipherment"})
	if got.Key != x509.KeyUsageKeyEncipherment || !slices.Equal(got.Extended, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		t.Errorf("got %+v", got)
	}
	got = uses(usages{"server auth", "digital signature"})
	if got.Key != x509.KeyUsageDigitalSignature || !slices.Equal(got.Extended, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
		t.Errorf("got %+v", got)
	}
}
