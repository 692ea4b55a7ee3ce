package certificates

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/pki"
)

// grant is a subresource that whoever asks must be allowed to create, so that a request is
// approved by itself, and what is said then.
type grant struct{ subresource, message string }

// grants are those of which one is enough for a request: to have a certificate of the node
// that one is, or of any node. None are for requests that people approve.
func grants(r *csr, asked *x509.CertificateRequest) (all []grant) {
	if r.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName || nodeClient(asked, r.Spec.Usages) != nil {
		return nil
	}
	if r.Spec.Username == asked.Subject.CommonName {
		all = append(all, grant{"selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."})
	}
	return append(all, grant{"nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."})
}

// Pauses until it is asked once more whether a request may be approved by itself.
const (
	firstPause = time.Second
	lastPause  = 15 * time.Minute
)

// approveNode approves a request for the certificate of a node of somebody who may have one.
// One who may not yet is asked for again, after as long as the request has waited.
func (c *Controller) approveNode(ctx context.Context, r *csr) error {
	asked, err := pki.ParseRequest(r.Spec.Request)
	if err != nil {
		return nil // it was stored before such requests were refused
	}
	all := grants(r, asked)
	for _, g := range all {
		ok, err := c.may(ctx, r, g.subresource)
		if err != nil {
			return fmt.Errorf("asking whether the request may be approved: %w", err)
		}
		if !ok {
			continue
		}
		after := r.DeepCopy()
		after.Status.Conditions = append(after.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "AutoApproved", Message: g.message,
		})
		if _, err := c.approve(ctx, r, after); err != nil && !run.Overtaken(err) {
			return fmt.Errorf("approving request: %w", err)
		}
		return nil
	}
	if len(all) > 0 {
		waited := c.config.Wall.Since(r.CreationTimestamp.Time)
		c.queue.AddAfter(r.Name, min(max(waited, firstPause), lastPause))
	}
	return nil
}

// may asks whether whoever made a request may create a subresource of requests.
func (c *Controller) may(ctx context.Context, r *csr, subresource string) (bool, error) {
	spec := authorizationv1.SubjectAccessReviewSpec{
		User: r.Spec.Username, UID: r.Spec.UID, Groups: r.Spec.Groups,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: certificatesv1.GroupName, Version: "*", Resource: "certificatesigningrequests", Subresource: subresource, Verb: "create",
		},
	}
	if len(r.Spec.Extra) > 0 {
		spec.Extra = map[string]authorizationv1.ExtraValue{}
		for key, values := range r.Spec.Extra {
			spec.Extra[key] = authorizationv1.ExtraValue(values)
		}
	}
	review, err := c.config.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}
