// Package certificatesigningrequest owns the CertificateSigningRequest kind of
// certificates.k8s.io/v1: who asks, who may approve and sign, validation, table and storage
// with the approval and status subresources. internal/controller/certificates signs what is
// asked of the signers of Kubernetes; other requests wait for signers that are installed. Who
// may act for a signer is said in internal/registry/certificates/signers.
package certificatesigningrequest

import (
	"context"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/certificates/signers"
	"laterna.dev/laterna/internal/registry/resource"
)

type csr = certificatesv1.CertificateSigningRequest

const plural = "certificatesigningrequests"

// Unsigned is what is said of a request of a signer that Laterna does not have.
const Unsigned = "spec.signerName: no signer of Laterna's has this name: the request waits for one that you install"

// signed are the signers whose requests are answered here.
var signed = []string{
	certificatesv1.KubeAPIServerClientSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeletServingSignerName,
}

// Approval is the subresource that approves and denies.
const Approval = "approval"

// Config is what requests are served with.
type Config struct {
	// Authorizer decides who may approve and sign.
	Authorizer authorizer.Authorizer
	// Wall stamps conditions.
	Wall clock.Wall
}

// Definition describes requests.
func Definition(c Config) resource.Definition[*csr] {
	return resource.Definition[*csr]{
		GroupVersion: certificatesv1.SchemeGroupVersion,
		Plural:       plural,
		Singular:     "certificatesigningrequest",
		ShortNames:   []string{"csr"},
		New:          func() *csr { return &csr{} },
		NewList:      func() runtime.Object { return &certificatesv1.CertificateSigningRequestList{} },
		Rules: resource.Rules[*csr]{
			ValidName:     func(string, bool) []string { return nil },
			PrepareCreate: func(ctx context.Context, r *csr) { own(ctx, r) },
			PrepareUpdate: func(_ context.Context, r, old *csr) { r.Spec, r.Status = old.Spec, old.Status },
			Validate:      func(_ context.Context, r *csr) field.ErrorList { return validate(r, nil) },
			ValidateUpdate: func(_ context.Context, r, old *csr) field.ErrorList {
				return validateChange(r, old, nothing)
			},
			WarnCreate: func(_ context.Context, r *csr) []string {
				if slices.Contains(signed, r.Spec.SignerName) {
					return nil
				}
				return []string{Unsigned}
			},
			Reset: []string{"spec", "status"},
		},
		Status: &resource.Rules[*csr]{
			PrepareUpdate: func(_ context.Context, r, old *csr) {
				r.Spec = old.Spec
				c.stamp(r, old)
			},
			ValidateUpdate: func(_ context.Context, r, old *csr) field.ErrorList { return validateChange(r, old, certificate) },
			Reset:          []string{"spec"},
		},
		Permit:        c.permit,
		PermitCreate:  func(_ context.Context, r *csr) error { return restrict(r) },
		Columns:       columns(),
		Fields:        func(r *csr) fields.Set { return fields.Set{"spec.signerName": r.Spec.SignerName} },
		ReturnDeleted: true,
	}
}

// ApprovalRules are those of the approval subresource, which writes conditions alone.
func ApprovalRules(c Config) resource.Rules[*csr] {
	return resource.Rules[*csr]{
		PrepareUpdate: func(_ context.Context, r, old *csr) {
			c.stamp(r, old)
			conditions := r.Status.Conditions
			r.Spec, r.Status = old.Spec, old.Status
			r.Status.Conditions = conditions
		},
		ValidateUpdate: func(_ context.Context, r, old *csr) field.ErrorList { return validateChange(r, old, approval) },
		Reset:          []string{"spec", "status.certificate"},
	}
}

// own says in a request who makes it, whatever it says itself.
func own(ctx context.Context, r *csr) {
	s := &r.Spec
	s.Username, s.UID, s.Groups, s.Extra = "", "", nil, nil
	if who, ok := request.UserFrom(ctx); ok {
		s.Username, s.UID, s.Groups = who.GetName(), who.GetUID(), slices.Clone(who.GetGroups())
		if extra := who.GetExtra(); len(extra) > 0 {
			s.Extra = map[string]certificatesv1.ExtraValue{}
			for key, values := range extra {
				s.Extra[key] = values
			}
		}
	}
	r.Status = certificatesv1.CertificateSigningRequestStatus{}
}

// permit asks who approves, or signs, whether they may for the signer.
func (c Config) permit(ctx context.Context, r, old *csr) error {
	resource := certificatesv1.Resource(plural)
	switch signers.Subresource(ctx) {
	case Approval:
		return signers.Permit(ctx, c.Authorizer, signers.Approve, old.Spec.SignerName, resource, old.Name, "user not permitted to approve requests with signerName")
	case "status":
		if equality.Semantic.DeepEqual(r.Status, old.Status) {
			return nil
		}
		return signers.Permit(ctx, c.Authorizer, signers.Sign, old.Spec.SignerName, resource, old.Name, "user not permitted to sign requests with signerName")
	}
	return nil
}

// stamp fills in the times that conditions may leave out.
func (c Config) stamp(r, old *csr) {
	now := metav1.NewTime(c.Wall.Now())
	for i := range r.Status.Conditions {
		one := &r.Status.Conditions[i]
		if one.LastUpdateTime.IsZero() {
			one.LastUpdateTime = now
		}
		if !one.LastTransitionTime.IsZero() {
			continue
		}
		one.LastTransitionTime = now
		for _, was := range old.Status.Conditions {
			if was.Type == one.Type && was.Status == one.Status && !was.LastTransitionTime.IsZero() {
				one.LastTransitionTime = was.LastTransitionTime
			}
		}
	}
}
