// Package podcertificaterequest owns the PodCertificateRequest kind of certificates.k8s.io/v1:
// who may sign, validation, table and storage with the status subresource. Agents make no
// requests yet and nothing signs them: they wait for signers that are installed.
package podcertificaterequest

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/certificates/signers"
	"laterna.dev/laterna/internal/registry/resource"
)

type pcr = certificatesv1.PodCertificateRequest

const plural = "podcertificaterequests"

// Unsigned is what is said of every request that is made.
const Unsigned = "spec.signerName: nothing signs certificates of pods in Laterna: the request waits unless a signer that you install serves it"

// Config is what requests are served with.
type Config struct {
	// Authorizer decides who may sign.
	Authorizer authorizer.Authorizer
	// Wall is the time that certificates must begin at.
	Wall clock.Wall
}

// day is how long a certificate is asked for that says nothing, in seconds.
const day = 24 * 60 * 60

// Definition describes requests.
func Definition(c Config) resource.Definition[*pcr] {
	halves := resource.Halves[*pcr, certificatesv1.PodCertificateRequestSpec, certificatesv1.PodCertificateRequestStatus]{
		Spec:      func(r *pcr) *certificatesv1.PodCertificateRequestSpec { return &r.Spec },
		Status:    func(r *pcr) *certificatesv1.PodCertificateRequestStatus { return &r.Status },
		Uncounted: true,
	}
	rules := halves.Main(validate, func(r, old *pcr) field.ErrorList { return apivalidation.ValidateImmutableField(r.Spec, old.Spec, spec) })
	rules.WarnCreate = resource.OnlyStored[*pcr](Unsigned)
	status := halves.Sub(func(r, old *pcr) field.ErrorList { return validateStatus(r, old, c.Wall.Now()) })
	prepare := status.PrepareUpdate
	status.PrepareUpdate = func(ctx context.Context, r, old *pcr) {
		prepare(ctx, r, old)
		metav1.ResetObjectMetaForStatus(&r.ObjectMeta, &old.ObjectMeta)
	}
	status.Reset = append(status.Reset, "metadata")
	return resource.Definition[*pcr]{
		GroupVersion: certificatesv1.SchemeGroupVersion,
		Plural:       plural,
		Singular:     "podcertificaterequest",
		Namespaced:   true,
		New:          func() *pcr { return &pcr{} },
		NewList:      func() runtime.Object { return &certificatesv1.PodCertificateRequestList{} },
		Default: func(r *pcr) {
			if r.Spec.MaxExpirationSeconds == nil {
				r.Spec.MaxExpirationSeconds = new(int32(day))
			}
		},
		Rules:  rules,
		Status: status,
		Permit: func(ctx context.Context, _, old *pcr) error {
			if signers.Subresource(ctx) != "status" {
				return nil
			}
			return signers.Permit(ctx, c.Authorizer, signers.Sign, old.Spec.SignerName, certificatesv1.Resource(plural), old.Name, "user not permitted to sign requests with signerName")
		},
		Columns: columns(),
		Fields: func(r *pcr) fields.Set {
			return fields.Set{"spec.signerName": r.Spec.SignerName, "spec.podName": r.Spec.PodName, "spec.nodeName": string(r.Spec.NodeName)}
		},
		ReturnDeleted: true,
	}
}

func columns() resource.Columns[*pcr] {
	doc := certificatesv1.PodCertificateRequestSpec{}.SwaggerDoc()
	return resource.Columns[*pcr]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "PodName", Type: "string", Description: doc["podName"]},
			{Name: "ServiceAccountName", Type: "string", Description: doc["serviceAccountName"]},
			{Name: "NodeName", Type: "string", Description: doc["nodeName"]},
			{Name: "SignerName", Type: "string", Description: doc["signerName"]},
			{Name: "State", Type: "string", Description: "Is the request Pending, Issued, Denied, or Failed?"},
			resource.AgeColumn(),
		},
		Row: func(r *pcr) []any {
			state := end(r)
			if state == "" {
				state = "Pending"
			}
			return []any{r.Name, r.Spec.PodName, r.Spec.ServiceAccountName, string(r.Spec.NodeName), r.Spec.SignerName, state, resource.Age(r)}
		},
	}
}
