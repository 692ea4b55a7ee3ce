package noderestriction

import (
	"context"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"

	nodeauthz "laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/pki"
)

// signingRequest lets a node ask the signers of nodes for certificates of its own alone.
// What else they take they see to themselves.
func signingRequest(node string, a admission.Attributes) error {
	if a.GetOperation() != admission.Create || a.GetSubresource() != "" {
		return nil
	}
	r, ok := a.GetObject().(*certificatesv1.CertificateSigningRequest)
	if !ok {
		return unexpected(a.GetObject())
	}
	if signer := r.Spec.SignerName; signer != certificatesv1.KubeletServingSignerName && signer != certificatesv1.KubeAPIServerClientKubeletSignerName {
		return nil
	}
	asked, err := pki.ParseRequest(r.Spec.Request)
	if err != nil {
		return fmt.Errorf("unable to parse csr: %w", err)
	}
	if own := nodeauthz.UserName(node); asked.Subject.CommonName != own {
		return fmt.Errorf("can only create a node CSR with CN=%s", own)
	}
	return nil
}

// podCertificate lets a node ask for certificates of pods that are its own, by what they are
// called and by what they are. Pods, nodes and accounts are read from the store, so one that
// differs is another one.
func (p *Plugin) podCertificate(ctx context.Context, node string, a admission.Attributes) error {
	if a.GetOperation() != admission.Create {
		return fmt.Errorf("unexpected operation %v", a.GetOperation())
	}
	if a.GetSubresource() != "" {
		return fmt.Errorf("unexpected subresource %v", a.GetSubresource())
	}
	r, ok := a.GetObject().(*certificatesv1.PodCertificateRequest)
	if !ok {
		return unexpected(a.GetObject())
	}
	s, of := &r.Spec, a.GetNamespace()+"/"+r.Spec.PodName
	if string(s.NodeName) != node {
		return fmt.Errorf("PodCertificateRequest.Spec.NodeName=%q, which is not the requesting node %q", s.NodeName, node)
	}
	own, err := p.config.Client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("while retrieving node %q named in the PodCertificateRequest: %w", node, err)
	}
	if own.UID != s.NodeUID {
		return fmt.Errorf("PodCertificateRequest for pod %q names node UID %q, inconsistent with the running node (%q)", of, s.NodeUID, own.UID)
	}
	pod, err := p.readPod(ctx, a.GetNamespace(), s.PodName)
	if err != nil {
		return fmt.Errorf("while retrieving pod %q named in the PodCertificateRequest: %w", of, err)
	}
	if err := isOf(s, pod, of); err != nil {
		return err
	}
	account, err := p.config.Client.CoreV1().ServiceAccounts(a.GetNamespace()).Get(ctx, s.ServiceAccountName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("while retrieving service account %q named in the PodCertificateRequest: %w", a.GetNamespace()+"/"+s.ServiceAccountName, err)
	}
	if account.UID != s.ServiceAccountUID {
		return fmt.Errorf("PodCertificateRequest for pod %q names service account UID %q, which differs from the running service account (%q)", of, s.ServiceAccountUID, account.UID)
	}
	return nil
}

// isOf wants a request to be that of a pod.
func isOf(s *certificatesv1.PodCertificateRequestSpec, pod *corev1.Pod, of string) error {
	if s.PodUID != pod.UID {
		return fmt.Errorf("PodCertificateRequest for pod %q contains pod UID (%q) which differs from running pod %q", of, s.PodUID, pod.UID)
	}
	if pod.Spec.NodeName != string(s.NodeName) {
		return fmt.Errorf("pod %q is not running on node %q named in the PodCertificateRequest", of, s.NodeName)
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return fmt.Errorf("pod %q is a mirror pod", of)
	}
	if s.ServiceAccountName != pod.Spec.ServiceAccountName {
		return fmt.Errorf("PodCertificateRequest for pod %q contains serviceAccountName (%q) that differs from running pod (%q)", of, s.ServiceAccountName, pod.Spec.ServiceAccountName)
	}
	return nil
}
