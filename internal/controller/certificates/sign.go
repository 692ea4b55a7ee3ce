package certificates

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/pki"
)

// shortest is how long a certificate lives at least.
const shortest = 10 * time.Minute

// sign signs an approved request, or says what its signer does not take of it.
func (c *Controller) sign(ctx context.Context, r *csr) error {
	judge := judgeOf(r.Spec.SignerName)
	if judge == nil {
		return nil // somebody else's
	}
	asked, err := pki.ParseRequest(r.Spec.Request)
	if err == nil {
		err = pki.VerifyRequest(asked)
	}
	if err == nil {
		err = judge(asked, r.Spec.Usages)
	}
	after := r.DeepCopy()
	if err != nil {
		after.Status.Conditions = append(after.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: "SignerValidationFailure", Message: err.Error(),
		})
	} else if after.Status.Certificate, err = c.config.Sign(asked, uses(r.Spec.Usages), life(r.Spec.ExpirationSeconds)); err != nil {
		return err
	}
	if _, err := c.write(ctx, r, after); err != nil && !run.Overtaken(err) {
		return fmt.Errorf("answering request: %w", err)
	}
	return nil
}

// life is how long a certificate lives of a request that asks for so many seconds.
func life(seconds *int32) time.Duration {
	if seconds == nil {
		return pki.LongestAsked
	}
	return min(max(time.Duration(*seconds)*time.Second, shortest), pki.LongestAsked)
}

// judge says what a signer does not take of a request.
type judge func(*x509.CertificateRequest, []certificatesv1.KeyUsage) error

// judgeOf returns the judge of a signer of Kubernetes, nil for others. The signer
// kubernetes.io/legacy-unknown is not among them: version v1 of the kind does not name it.
func judgeOf(signer string) judge {
	switch signer {
	case certificatesv1.KubeAPIServerClientSignerName:
		return func(_ *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error { return client(usages) }
	case certificatesv1.KubeAPIServerClientKubeletSignerName:
		return nodeClient
	case certificatesv1.KubeletServingSignerName:
		return nodeServer
	}
	return nil
}

// client is for whoever calls the API. That nobody has the greatest group this way has been
// seen to when the request was made.
func client(usages []certificatesv1.KeyUsage) error {
	for _, u := range usages {
		switch u {
		case certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment, certificatesv1.UsageClientAuth:
		default:
			return fmt.Errorf("invalid usage for client certificate: %s", u)
		}
	}
	if !slices.Contains(usages, certificatesv1.UsageClientAuth) {
		return fmt.Errorf("missing required usage for client certificate: %s", certificatesv1.UsageClientAuth)
	}
	return nil
}

// nodeClient is for nodes that call the API.
func nodeClient(r *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	if err := ofNodes(r); err != nil {
		return err
	}
	switch {
	case len(r.DNSNames) > 0:
		return errors.New("DNS subjectAltNames are not allowed")
	case len(r.EmailAddresses) > 0:
		return errors.New("Email subjectAltNames are not allowed")
	case len(r.IPAddresses) > 0:
		return errors.New("IP subjectAltNames are not allowed")
	case len(r.URIs) > 0:
		return errors.New("URI subjectAltNames are not allowed")
	}
	if err := ofOneNode(r); err != nil {
		return err
	}
	return exactly(usages, certificatesv1.UsageClientAuth)
}

// nodeServer is for nodes that are called.
func nodeServer(r *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	if err := ofNodes(r); err != nil {
		return err
	}
	switch {
	case len(r.DNSNames) == 0 && len(r.IPAddresses) == 0:
		return errors.New("DNS or IP subjectAltName is required")
	case len(r.EmailAddresses) > 0:
		return errors.New("Email subjectAltNames are not allowed")
	case len(r.URIs) > 0:
		return errors.New("URI subjectAltNames are not allowed")
	}
	if err := exactly(usages, certificatesv1.UsageServerAuth); err != nil {
		return err
	}
	return ofOneNode(r)
}

func ofNodes(r *x509.CertificateRequest) error {
	if !slices.Equal(r.Subject.Organization, []string{"system:nodes"}) {
		return errors.New("subject organization is not system:nodes")
	}
	return nil
}

func ofOneNode(r *x509.CertificateRequest) error {
	if !strings.HasPrefix(r.Subject.CommonName, "system:node:") {
		return errors.New("subject common name does not begin with system:node:")
	}
	return nil
}

// exactly wants the usages of one end of a connection; that for which only RSA keys are good
// may be left out.
func exactly(usages []certificatesv1.KeyUsage, end certificatesv1.KeyUsage) error {
	want := []certificatesv1.KeyUsage{end, certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment}
	slices.Sort(want)
	got := slices.Compact(slices.Sorted(slices.Values(usages)))
	withoutRSA := slices.DeleteFunc(slices.Clone(want), func(u certificatesv1.KeyUsage) bool { return u == certificatesv1.UsageKeyEncipherment })
	if !slices.Equal(got, want) && !slices.Equal(got, withoutRSA) {
		return fmt.Errorf("usages did not match %v", want)
	}
	return nil
}

// uses are those that the judges let through, as certificates have them.
func uses(usages []certificatesv1.KeyUsage) (all pki.Uses) {
	for _, u := range usages {
		switch u {
		case certificatesv1.UsageDigitalSignature:
			all.Key |= x509.KeyUsageDigitalSignature
		case certificatesv1.UsageKeyEncipherment:
			all.Key |= x509.KeyUsageKeyEncipherment
		case certificatesv1.UsageClientAuth:
			all.Extended = append(all.Extended, x509.ExtKeyUsageClientAuth)
		case certificatesv1.UsageServerAuth:
			all.Extended = append(all.Extended, x509.ExtKeyUsageServerAuth)
		}
	}
	return all
}
