package noderestriction_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/admission/noderestriction"
)

// signing asks a signer for a certificate of a user.
func signing(t *testing.T, signer, who string) admission.Attributes {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: who}}, key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	if who == "" {
		text = nil
	}
	return request(admission.Create, "certificatesigningrequests", "", "", &certificatesv1.CertificateSigningRequest{
		Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: signer, Request: text}}, nil)
}

// certificate asks for the certificate of a pod of node a.
func certificate(change func(*certificatesv1.PodCertificateRequestSpec)) admission.Attributes {
	r := &certificatesv1.PodCertificateRequest{Spec: certificatesv1.PodCertificateRequestSpec{
		PodName: "mine", PodUID: "mine-uid", ServiceAccountName: "robot", ServiceAccountUID: "robot-uid", NodeName: "a", NodeUID: "a-uid",
	}}
	if change != nil {
		change(&r.Spec)
	}
	return request(admission.Create, "podcertificaterequests", "n", "", r, nil)
}

func TestNodesAskForCertificatesOfTheirOwn(t *testing.T) {
	const client, serving = certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeletServingSignerName
	type spec = certificatesv1.PodCertificateRequestSpec
	of := func(p *corev1.Pod, account string) *corev1.Pod {
		p.Spec.ServiceAccountName = account
		return p
	}
	stored := of(pod("static", "a"), "robot")
	stored.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
	p := noderestriction.New(noderestriction.Config{Authorizer: grants, Client: fake.NewClientset(
		of(pod("mine", "a"), "robot"), of(pod("theirs", "b"), "robot"), stored, node("a", nil), node("b", nil),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "robot", UID: "robot-uid"}},
	)})
	for name, tc := range map[string]struct {
		a    admission.Attributes
		want string
	}{
		"its client certificate":        {signing(t, client, "system:node:a"), ""},
		"its serving certificate":       {signing(t, serving, "system:node:a"), ""},
		"another's client certificate":  {signing(t, client, "system:node:b"), "can only create a node CSR with CN=system:node:a"},
		"another's serving certificate": {signing(t, serving, "system:node:b"), "can only create a node CSR with CN=system:node:a"},
		"no request":                    {signing(t, serving, ""), "unable to parse csr: PEM block type must be CERTIFICATE REQUEST"},
		"of another signer":             {signing(t, "example.com/a", "ann"), ""},

		"of its pod":            {certificate(nil), ""},
		"of another node's pod": {certificate(func(s *spec) { s.PodName, s.PodUID = "theirs", "theirs-uid" }), `pod "n/theirs" is not running on node "a" named in the PodCertificateRequest`},
		"in another's name":     {certificate(func(s *spec) { s.NodeName = "b" }), `PodCertificateRequest.Spec.NodeName="b", which is not the requesting node "a"`},
		"of an earlier node":    {certificate(func(s *spec) { s.NodeUID = "z" }), `names node UID "z", inconsistent with the running node ("a-uid")`},
		"of an earlier pod":     {certificate(func(s *spec) { s.PodUID = "z" }), `contains pod UID ("z") which differs from running pod "mine-uid"`},
		"of no pod":             {certificate(func(s *spec) { s.PodName = "gone" }), `while retrieving pod "n/gone" named in the PodCertificateRequest: pods "gone" not found`},
		"of a mirror pod":       {certificate(func(s *spec) { s.PodName, s.PodUID = "static", "static-uid" }), `pod "n/static" is a mirror pod`},
		"of another account":    {certificate(func(s *spec) { s.ServiceAccountName = "root" }), `contains serviceAccountName ("root") that differs from running pod ("robot")`},
		"of an earlier account": {certificate(func(s *spec) { s.ServiceAccountUID = "z" }), `names service account UID "z", which differs from the running service account ("robot-uid")`},
		"signs it":              {request(admission.Update, "podcertificaterequests/status", "n", "r", &certificatesv1.PodCertificateRequest{}, nil), "unexpected operation UPDATE"},
	} {
		err := p.Admit(t.Context(), tc.a, nil)
		if (err == nil) != (tc.want == "") || err != nil && (!strings.HasSuffix(err.Error(), tc.want) || !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err)) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}
