package podcertificaterequest

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/mail"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// skew is how far from now a certificate may begin.
	skew = 5 * time.Minute
	// margin is between a certificate's ends and its renewal.
	margin = 10 * time.Minute
)

// validateIssued holds a certificate to what was asked for, and the status to the
// certificate.
func validateIssued(r *pcr, now time.Time) field.ErrorList {
	text := r.Status.CertificateChain
	if len(text) > maxChain {
		return field.ErrorList{field.TooLong(chain, "", maxChain)}
	}
	wrong := func(message string) field.ErrorList { return field.ErrorList{field.Invalid(chain, text, message)} }
	var leaf *x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return wrong("issued certificate chain must consist entirely of CERTIFICATE PEM blocks")
		}
		one, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil && leaf == nil:
			return wrong("leaf certificate does not parse as valid X.509")
		case err != nil:
			return wrong("intermediate certificate does not parse as valid X.509")
		case leaf == nil:
			leaf = one
		}
	}
	if leaf == nil {
		return wrong("issued certificate chain must contain at least one certificate")
	}
	errs := validateNames(leaf)
	asked, err := x509.ParseCertificateRequest(r.Spec.StubPKCS10Request)
	if err != nil || !bytes.Equal(asked.RawSubjectPublicKeyInfo, leaf.RawSubjectPublicKeyInfo) {
		return append(errs, wrong("leaf certificate was not issued to the requested public key")...)
	}
	return append(errs, validateTimes(r, leaf, now)...)
}

func validateNames(leaf *x509.Certificate) (errs field.ErrorList) {
	wrong := func(name, message string) { errs = append(errs, field.Invalid(chain, name, message)) }
	for _, name := range leaf.DNSNames {
		if name == "" {
			wrong(name, "leaf certificate should not contain empty DNSName")
		}
		if strings.Contains(name, "..") {
			wrong(name, "leaf certificate's DNSName should not contain '..'")
		}
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") {
			wrong(name, "leaf certificate's DNSName should not start or end with '.'")
		}
	}
	for _, address := range leaf.EmailAddresses {
		if _, err := mail.ParseAddress(address); err != nil {
			wrong(address, "leaf certificate should not contain invalid EmailAddress")
		}
	}
	return errs
}

func validateTimes(r *pcr, leaf *x509.Certificate, now time.Time) (errs field.ErrorList) {
	s := &r.Status
	for _, t := range []struct {
		name, message string
		at            *metav1.Time
	}{
		{"notBefore", "must be present and consistent with the issued certificate", s.NotBefore},
		{"notAfter", "must be present and consistent with the issued certificate", s.NotAfter},
		{"beginRefreshAt", "must be present and in the range [notbefore+10min, notafter-10min]", s.BeginRefreshAt},
	} {
		if t.at == nil {
			errs = append(errs, field.Required(status.Child(t.name), t.message))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	begins, ends, renews := s.NotBefore.Time, s.NotAfter.Time, s.BeginRefreshAt.Time
	wrong := func(name string, value any, message string) field.ErrorList {
		return field.ErrorList{field.Invalid(status.Child(name), value, message)}
	}
	life, most := leaf.NotAfter.Sub(leaf.NotBefore), time.Duration(*r.Spec.MaxExpirationSeconds)*time.Second
	switch {
	case !begins.Equal(leaf.NotBefore):
		return wrong("notBefore", begins, "must be set to the NotBefore time encoded in the leaf certificate")
	case !begins.After(now.Add(-skew)) || !begins.Before(now.Add(skew)):
		return wrong("notBefore", begins, "must be set to within 5 minutes of kube-apiserver's current time")
	case !ends.Equal(leaf.NotAfter):
		return wrong("notAfter", ends, "must be set to the NotAfter time encoded in the leaf certificate")
	case life < time.Hour:
		return wrong("certificateChain", life, "leaf certificate lifetime must be >= 1 hour")
	case life > most:
		return wrong("certificateChain", life, fmt.Sprintf("leaf certificate lifetime must be <= spec.maxExpirationSeconds (%v)", *r.Spec.MaxExpirationSeconds))
	case renews.Before(begins.Add(margin)):
		return wrong("beginRefreshAt", renews, "must be at least 10 minutes after status.notBefore")
	case renews.After(ends.Add(-margin)):
		return wrong("beginRefreshAt", renews, "must be at least 10 minutes before status.notAfter")
	}
	return nil
}
