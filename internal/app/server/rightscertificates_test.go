package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// certificates has requests approved, signed and deleted.
func (w *world) certificates() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	client := w.admin.CertificatesV1().CertificateSigningRequests()
	ask := func(signer string, subject pkix.Name, names ...string) *certificatesv1.CertificateSigningRequest {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, DNSNames: names}, key)
		w.must(err)
		end := certificatesv1.UsageClientAuth
		if len(names) > 0 {
			end = certificatesv1.UsageServerAuth
		}
		r, err := client.Create(w.Context(), &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{GenerateName: "asked-"}, Spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: signer, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, end},
			Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		}}, metav1.CreateOptions{})
		w.must(err)
		return r
	}
	node := pkix.Name{CommonName: "system:node:other", Organization: []string{"system:nodes"}}
	_, err = w.admin.RbacV1().ClusterRoleBindings().Create(w.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "nodes-join"},
		RoleRef:  rbacv1.RoleRef{APIGroup: group, Kind: "ClusterRole", Name: "system:certificates.k8s.io:certificatesigningrequests:nodeclient"},
		Subjects: []rbacv1.Subject{{APIGroup: group, Kind: "User", Name: "kubernetes-admin"}},
	}, metav1.CreateOptions{})
	w.must(err)
	all := []*certificatesv1.CertificateSigningRequest{
		ask(certificatesv1.KubeAPIServerClientKubeletSignerName, node),
		ask(certificatesv1.KubeAPIServerClientSignerName, pkix.Name{CommonName: "ann"}),
		ask(certificatesv1.KubeletServingSignerName, node, "other"),
	}
	for _, r := range all[1:] {
		r.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Test"}}
		_, err := client.UpdateApproval(w.Context(), r.Name, r, metav1.UpdateOptions{})
		w.must(err)
	}
	for _, r := range all {
		w.eventually("a certificate is signed by "+r.Spec.SignerName, func() bool {
			now, err := client.Get(w.Context(), r.Name, metav1.GetOptions{})
			return err == nil && len(now.Status.Certificate) > 0
		})
	}
	// By the controllers' hastened time this certificate has ended soon.
	brief := all[1].DeepCopy()
	brief.ObjectMeta, brief.Spec.ExpirationSeconds = metav1.ObjectMeta{Name: "brief"}, new(int32(600))
	brief.Status = certificatesv1.CertificateSigningRequestStatus{}
	brief, err = client.Create(w.Context(), brief, metav1.CreateOptions{})
	w.must(err)
	brief.Status.Conditions = all[1].Status.Conditions
	_, err = client.UpdateApproval(w.Context(), brief.Name, brief, metav1.UpdateOptions{})
	w.must(err)
	w.eventually("a request goes whose certificate has ended", func() bool {
		_, err := client.Get(w.Context(), brief.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}
