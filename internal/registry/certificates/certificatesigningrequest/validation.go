package certificatesigningrequest

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"

	"laterna.dev/laterna/internal/pki"
	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
)

const (
	// shortest is how long a certificate must be asked for, in seconds.
	shortest = 600
	// mostUsages bounds what is said of usages that are wrong: there are fewer.
	mostUsages = 64
)

var usages = []certificatesv1.KeyUsage{
	certificatesv1.UsageAny, certificatesv1.UsageCertSign, certificatesv1.UsageClientAuth, certificatesv1.UsageCodeSigning, certificatesv1.UsageContentCommitment,
	certificatesv1.UsageCRLSign, certificatesv1.UsageDataEncipherment, certificatesv1.UsageDecipherOnly, certificatesv1.UsageDigitalSignature,
	certificatesv1.UsageEmailProtection, certificatesv1.UsageEncipherOnly, certificatesv1.UsageIPsecEndSystem, certificatesv1.UsageIPsecTunnel,
	certificatesv1.UsageIPsecUser, certificatesv1.UsageKeyAgreement, certificatesv1.UsageKeyEncipherment, certificatesv1.UsageMicrosoftSGC,
	certificatesv1.UsageNetscapeSGC, certificatesv1.UsageOCSPSigning, certificatesv1.UsageSMIME, certificatesv1.UsageServerAuth, certificatesv1.UsageSigning,
	certificatesv1.UsageTimestamping,
}

var (
	spec       = field.NewPath("spec")
	conditions = field.NewPath("status", "conditions")
	issued     = field.NewPath("status", "certificate")
)

// restrict refuses requests for the rights of the greatest group.
func restrict(r *csr) error {
	if r.Spec.SignerName != certificatesv1.KubeAPIServerClientSignerName {
		return nil
	}
	resource := certificatesv1.Resource(plural)
	asked, err := pki.ParseRequest(r.Spec.Request)
	if err != nil {
		return apierrors.NewForbidden(resource, r.Name, fmt.Errorf("failed to parse CSR: %w", err))
	}
	if slices.Contains(asked.Subject.Organization, user.SystemPrivilegedGroup) {
		return apierrors.NewForbidden(resource, r.Name, fmt.Errorf("use of %s signer with %s group is not allowed", r.Spec.SignerName, user.SystemPrivilegedGroup))
	}
	return nil
}

// validate checks a request; what old has been stored with is kept.
func validate(r, old *csr) (errs field.ErrorList) {
	errs = append(validateRequest(r.Spec.Request), check.RequiredList(len(r.Spec.Usages), spec.Child("usages"))...)
	if given := len(r.Spec.Usages); given > mostUsages {
		return append(errs, field.TooMany(spec.Child("usages"), given, mostUsages))
	}
	seen := map[certificatesv1.KeyUsage]bool{}
	for i, usage := range r.Spec.Usages {
		at := spec.Child("usages").Index(i)
		if !slices.Contains(usages, usage) {
			errs = append(errs, field.NotSupported(at, usage, usages))
		}
		if seen[usage] {
			errs = append(errs, field.Duplicate(at, usage))
		}
		seen[usage] = true
	}
	if name := r.Spec.SignerName; name == "kubernetes.io/legacy-unknown" {
		errs = append(errs, field.Invalid(spec.Child("signerName"), name, "the legacy signerName is not allowed via this API version"))
	} else {
		errs = append(errs, volumes.ValidateSignerName(name, spec.Child("signerName"))...)
	}
	if life := r.Spec.ExpirationSeconds; life != nil && *life < shortest {
		errs = append(errs, field.Invalid(spec.Child("expirationSeconds"), *life, "may not specify a duration less than 600 seconds (10 minutes)"))
	}
	errs = append(errs, validateConditions(r.Status.Conditions)...)
	if old == nil || !bytes.Equal(r.Status.Certificate, old.Status.Certificate) {
		if err := validateCertificate(r.Status.Certificate); err != nil {
			errs = append(errs, field.Invalid(issued, "<certificate data>", err.Error()))
		}
	}
	return errs
}

func validateRequest(text []byte) field.ErrorList {
	at := spec.Child("request")
	if len(text) > pki.LongestRequest {
		return field.ErrorList{field.TooLong(at, "", pki.LongestRequest)}
	}
	asked, err := pki.ParseRequest(text)
	if err == nil {
		err = pki.VerifyRequest(asked)
	}
	if err != nil {
		return field.ErrorList{field.Invalid(at, text, err.Error())}
	}
	return nil
}

func validateConditions(all []certificatesv1.CertificateSigningRequestCondition) (errs field.ErrorList) {
	seen := map[certificatesv1.RequestConditionType]bool{}
	for i, c := range all {
		at := conditions.Index(i)
		errs = append(errs, check.Required(string(c.Type), at.Child("type"))...)
		allowed := []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown}
		if slices.Contains(final, c.Type) {
			allowed = []corev1.ConditionStatus{corev1.ConditionTrue}
		}
		errs = append(errs, check.OneOf(at.Child("status"), c.Status, allowed...)...)
		if c.Type == certificatesv1.CertificateApproved && seen[certificatesv1.CertificateDenied] || c.Type == certificatesv1.CertificateDenied && seen[certificatesv1.CertificateApproved] {
			errs = append(errs, field.Invalid(conditions, c.Type, "Approved and Denied conditions are mutually exclusive"))
		}
		if seen[c.Type] {
			errs = append(errs, field.Duplicate(at.Child("type"), c.Type))
		}
		seen[c.Type] = true
	}
	return errs
}

func validateCertificate(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	blocks := 0
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("only CERTIFICATE PEM blocks are allowed, found %q", block.Type)
		}
		if len(block.Headers) > 0 {
			return errors.New("no PEM block headers are permitted")
		}
		if all, err := x509.ParseCertificates(block.Bytes); err != nil {
			return err
		} else if len(all) == 0 {
			return errors.New("found CERTIFICATE PEM block containing 0 certificates")
		}
		blocks, text = blocks+1, rest
	}
	if blocks == 0 {
		return errors.New("must contain at least one CERTIFICATE PEM block")
	}
	return nil
}

// allowed is what a way of writing may change.
type allowed int

const (
	nothing allowed = iota
	certificate
	approval
)

// final are the conditions that stay.
var final = []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied, certificatesv1.CertificateFailed}

func validateChange(r, old *csr, may allowed) field.ErrorList {
	errs := validate(r, old)
	for _, t := range final {
		was, now := with(old, t), with(r, t)
		decides := t != certificatesv1.CertificateFailed
		switch {
		case len(now) < len(was):
			errs = append(errs, field.Forbidden(conditions, fmt.Sprintf("updates may not remove a condition of type %q", t)))
		case may == approval || !decides:
		case len(now) > len(was):
			errs = append(errs, field.Forbidden(conditions, fmt.Sprintf("updates may not add a condition of type %q", t)))
		case !equality.Semantic.DeepEqual(was, now):
			errs = append(errs, field.Forbidden(conditions, fmt.Sprintf("updates may not modify a condition of type %q\n%v", t, diff.Diff(was, now))))
		}
	}
	switch {
	case bytes.Equal(r.Status.Certificate, old.Status.Certificate):
	case may != certificate:
		errs = append(errs, field.Forbidden(issued, "updates may not set certificate content"))
	case len(old.Status.Certificate) > 0:
		errs = append(errs, field.Forbidden(issued, "updates may not modify existing certificate content"))
	}
	return errs
}

func with(r *csr, t certificatesv1.RequestConditionType) (all []certificatesv1.CertificateSigningRequestCondition) {
	for _, c := range r.Status.Conditions {
		if c.Type == t {
			all = append(all, c)
		}
	}
	return all
}
