package compat

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestConformanceAuth(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations", s.signingRequests)
	s.conforms(t, "[sig-auth] PodCertificateRequest API [Privileged:ClusterAdmin] should support PodCertificateRequest API operations", s.podCertificates)
	s.conforms(t, "[sig-auth] SubjectReview should support SubjectReview API operations", s.subjectReviews)
}

// keyAndRequest is a key and a request, in DER, that proves its possession.
func keyAndRequest(t testing.TB, subject pkix.Name) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// selfSigned is a certificate, in PEM, of a key.
func selfSigned(t testing.TB, key *ecdsa.PrivateKey, begins, ends time.Time) string {
	t.Helper()
	return signedBy(t, key, &x509.Certificate{Subject: pkix.Name{CommonName: "e2e.example.com"}, NotBefore: begins, NotAfter: ends})
}

// signedBy is a certificate, in PEM, that a key has signed for itself.
func signedBy(t testing.TB, key *ecdsa.PrivateKey, c *x509.Certificate) string {
	t.Helper()
	c.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (s *stage) signingRequests(t *testing.T) {
	_, der := keyAndRequest(t, pkix.Name{CommonName: "e2e-example"})
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	s.lives(life{
		resource: certificatesv1.SchemeGroupVersion.WithResource("certificatesigningrequests"),
		object: func() map[string]any {
			return part{"kind": "CertificateSigningRequest", "spec": part{"signerName": "example.com/e2e-" + s.ns, "expirationSeconds": int64(3600),
				"request": base64.StdEncoding.EncodeToString(text), "usages": []any{"digital signature", "key encipherment", "server auth"}}}
		},
		status: part{"conditions": []any{part{"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}}},
	})(t)
	client := s.client.CertificatesV1().CertificateSigningRequests()
	made, err := client.Create(t.Context(), &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-example-csr-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: "example.com/e2e", Request: text, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageServerAuth}}}, metav1.CreateOptions{})
	s.must(t, err)
	t.Cleanup(func() { s.must(t, client.Delete(context.Background(), made.Name, metav1.DeleteOptions{})) })
	if made.Spec.Username == "" || len(made.Spec.Groups) == 0 {
		t.Errorf("nobody has asked: %+v", made.Spec)
	}
	made.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "E2E", Message: "Set from an e2e test"}}
	if _, err := client.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a signer approves: %v", err)
	}
	approved, err := client.UpdateApproval(t.Context(), made.Name, made, metav1.UpdateOptions{})
	if err != nil || len(approved.Status.Conditions) != 1 || approved.Status.Conditions[0].LastTransitionTime.IsZero() {
		t.Fatalf("approved as %+v, %v", approved, err)
	}
	key, _ := keyAndRequest(t, pkix.Name{})
	approved.Status.Certificate = []byte(selfSigned(t, key, time.Now(), time.Now().Add(time.Hour)))
	signed, err := client.UpdateStatus(t.Context(), approved, metav1.UpdateOptions{})
	if err != nil || len(signed.Status.Certificate) == 0 || len(signed.Status.Conditions) != 1 {
		t.Errorf("signed as %+v, %v", signed, err)
	}
}

func (s *stage) podCertificates(t *testing.T) {
	key, der := keyAndRequest(t, pkix.Name{})
	begins := time.Now().Add(-time.Minute).UTC().Truncate(time.Second)
	ends, renews := begins.Add(time.Hour), begins.Add(15*time.Minute)
	s.lives(life{
		resource: certificatesv1.SchemeGroupVersion.WithResource("podcertificaterequests"), namespaced: true, statusAlone: true,
		object: func() map[string]any {
			return part{"kind": "PodCertificateRequest", "spec": part{
				"signerName": "example.com/e2e-" + s.ns, "podName": "test-pod", "podUID": "12345678-1234-1234-1234-123456789012",
				"serviceAccountName": "default", "serviceAccountUID": "12345678-1234-1234-1234-123456789013",
				"nodeName": "test-node", "nodeUID": "12345678-1234-1234-1234-123456789014", "maxExpirationSeconds": int64(86400),
				"stubPKCS10Request": base64.StdEncoding.EncodeToString(der)}}
		},
		status: part{"certificateChain": selfSigned(t, key, begins, ends), "notBefore": begins.Format(time.RFC3339), "notAfter": ends.Format(time.RFC3339),
			"beginRefreshAt": renews.Format(time.RFC3339), "conditions": []any{part{"type": "Issued", "status": "True", "reason": "E2E", "message": "Issued by E2E test",
				"lastTransitionTime": begins.Format(time.RFC3339)}}},
	})(t)
}

// subjectReviews asks what an account may do, and lets it try.
func (s *stage) subjectReviews(t *testing.T) {
	account := s.name("e2e")
	_, err := s.client.CoreV1().ServiceAccounts(s.ns).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
	s.must(t, err)
	who := "system:serviceaccount:" + s.ns + ":" + account
	config := rest.CopyConfig(s.config(t))
	config.Impersonate = rest.ImpersonationConfig{UserName: who}
	as, err := kubernetes.NewForConfig(config)
	s.must(t, err)
	spec := authorizationv1.SubjectAccessReviewSpec{User: who, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list", Resource: "configmaps", Namespace: s.ns, Version: "v1"}}
	review, err := s.client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	s.must(t, err)
	local, err := s.client.AuthorizationV1().LocalSubjectAccessReviews(s.ns).Create(t.Context(),
		&authorizationv1.LocalSubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns}, Spec: spec}, metav1.CreateOptions{})
	s.must(t, err)
	if _, err := as.CoreV1().ConfigMaps(s.ns).List(t.Context(), metav1.ListOptions{}); review.Status.Allowed || local.Status.Allowed || !apierrors.IsForbidden(err) {
		t.Errorf("the reviews say %+v and %+v, a list %v", review.Status, local.Status, err)
	}
}
