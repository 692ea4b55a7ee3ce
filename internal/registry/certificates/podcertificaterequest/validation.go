package podcertificaterequest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
)

const (
	maxUID     = 128
	maxRequest = 10 * 1024
	maxChain   = 100 * 1024
	// hour, day and quarter bound how long a certificate may be asked for, in seconds.
	hour    = 60 * 60
	quarter = 91 * day
)

var (
	spec       = field.NewPath("spec")
	status     = field.NewPath("status")
	conditions = status.Child("conditions")
	chain      = status.Child("certificateChain")
)

func validate(r *pcr) field.ErrorList {
	s := &r.Spec
	errs := volumes.ValidateSignerName(s.SignerName, spec.Child("signerName"))
	errs = append(errs, apivalidation.ValidateAnnotations(s.UnverifiedUserAnnotations, spec.Child("unverifiedUserAnnotations"))...)
	for _, ref := range []struct{ name, value, uid string }{
		{"pod", s.PodName, string(s.PodUID)}, {"serviceAccount", s.ServiceAccountName, string(s.ServiceAccountUID)}, {"node", string(s.NodeName), string(s.NodeUID)},
	} {
		errs = append(errs, check.Subdomain(ref.value, spec.Child(ref.name+"Name"))...)
		at := spec.Child(ref.name + "UID")
		if ref.uid == "" {
			errs = append(errs, field.Invalid(at, "", "must not be empty"))
		}
		if len(ref.uid) > maxUID {
			errs = append(errs, field.TooLong(at, ref.uid, maxUID))
		}
	}
	at, most := spec.Child("maxExpirationSeconds"), int32(quarter)
	if domain, _, _ := strings.Cut(s.SignerName, "/"); domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") {
		most = day
	}
	if life := s.MaxExpirationSeconds; life == nil {
		return append(errs, field.Required(at, "must be set"))
	} else if *life < hour || *life > most {
		errs = append(errs, field.Invalid(at, *life, fmt.Sprintf("must be in the range [%d, %d]", hour, most)))
	}
	return append(errs, validateRequest(s.StubPKCS10Request)...)
}

// validateRequest wants a request that proves the possession of a key of a kind that is
// taken.
func validateRequest(der []byte) field.ErrorList {
	at := spec.Child("stubPKCS10Request")
	if len(der) == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	if len(der) > maxRequest {
		return field.ErrorList{field.TooLong(at, "", maxRequest)}
	}
	wrong := func(message string) field.ErrorList {
		return field.ErrorList{field.Invalid(at, field.OmitValueType{}, message)}
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return wrong("must be a valid PKCS#10 certificate signing request")
	}
	switch key := request.PublicKey.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if c := key.Curve; c != elliptic.P256() && c != elliptic.P384() && c != elliptic.P521() {
			return wrong("elliptic public keys must use curve P256, P384 or P521")
		}
	case *rsa.PublicKey:
		if bits := key.Size() * 8; bits != 3072 && bits != 4096 {
			return wrong("RSA keys must have modulus size 3072 or 4096")
		}
	default:
		return wrong("unknown public key type; supported types are Ed25519, ECDSA, and RSA")
	}
	if request.CheckSignature() != nil {
		return wrong("could not verify the signature of the request")
	}
	return nil
}

// end is the condition that a request ended with, if it has.
func end(r *pcr) string {
	for _, c := range r.Status.Conditions {
		switch c.Type {
		case certificatesv1.PodCertificateRequestConditionTypeIssued, certificatesv1.PodCertificateRequestConditionTypeDenied, certificatesv1.PodCertificateRequestConditionTypeFailed:
			if c.Status == metav1.ConditionTrue {
				return c.Type
			}
		}
	}
	return ""
}

func validateStatus(r, old *pcr, now time.Time) field.ErrorList {
	if errs := validateConditions(r.Status.Conditions); len(errs) > 0 {
		return errs
	}
	same := func(want certificatesv1.PodCertificateRequestStatus, message string) field.ErrorList {
		if equality.Semantic.DeepEqual(r.Status, want) {
			return nil
		}
		return field.ErrorList{field.Invalid(status, field.OmitValueType{}, message)}
	}
	if end(old) != "" {
		return same(old.Status, "immutable after PodCertificateRequest is issued, denied, or failed")
	}
	switch end(r) {
	case certificatesv1.PodCertificateRequestConditionTypeDenied, certificatesv1.PodCertificateRequestConditionTypeFailed:
		return same(certificatesv1.PodCertificateRequestStatus{Conditions: r.Status.Conditions},
			"non-condition status fields must be empty when denying or failing the PodCertificateRequest")
	case certificatesv1.PodCertificateRequestConditionTypeIssued:
		return validateIssued(r, now)
	}
	return same(old.Status, `status is immutable unless transitioning to "Issued", "Denied", or "Failed"`)
}

func validateConditions(all []metav1.Condition) (errs field.ErrorList) {
	types := []string{certificatesv1.PodCertificateRequestConditionTypeIssued, certificatesv1.PodCertificateRequestConditionTypeDenied, certificatesv1.PodCertificateRequestConditionTypeFailed}
	for i, c := range all {
		at := conditions.Index(i)
		unknown := check.SupportedIfSet(at.Child("type"), &c.Type, types...)
		errs = append(errs, unknown...)
		if len(unknown) == 0 {
			if i > 0 {
				errs = append(errs, field.Invalid(at.Child("type"), c.Type, `There may be at most one condition with type "Issued", "Denied", or "Failed"`))
			}
			errs = append(errs, check.SupportedIfSet(at.Child("status"), &c.Status, metav1.ConditionTrue)...)
		}
	}
	return append(errs, metavalidation.ValidateConditions(all, conditions)...)
}
