package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
)

const (
	// unanswered is how long a request stays that nobody has answered.
	unanswered = 24 * time.Hour
	// answered is how long one stays whose answer whoever asked can read.
	answered = time.Hour
)

type state int

const (
	pending state = iota
	approved
	denied
	failed
)

// stateOf is what a request has come to. A failure is final, whatever was approved.
func stateOf(r *csr) (is state) {
	for _, c := range r.Status.Conditions {
		switch {
		case c.Status != corev1.ConditionTrue:
		case c.Type == certificatesv1.CertificateFailed:
			return failed
		case c.Type == certificatesv1.CertificateDenied:
			is = denied
		case c.Type == certificatesv1.CertificateApproved && is == pending:
			is = approved
		}
	}
	return is
}

// old is when nobody needs a request any more: an hour after it was denied, has failed or was
// signed, and a day after it was made while nothing has been said to it. ok is false for one
// that waits for its signer.
func old(r *csr) (at time.Time, ok bool) {
	if len(r.Status.Conditions) == 0 {
		return r.CreationTimestamp.Add(unanswered), true
	}
	for _, c := range r.Status.Conditions {
		switch c.Type {
		case certificatesv1.CertificateApproved:
			if len(r.Status.Certificate) == 0 {
				continue
			}
		case certificatesv1.CertificateDenied, certificatesv1.CertificateFailed:
		default:
			continue
		}
		if end := c.LastUpdateTime.Add(answered); !c.LastUpdateTime.IsZero() && (!ok || end.Before(at)) {
			at, ok = end, true
		}
	}
	return at, ok
}

// ends is when the certificate of a request ends, where it has one.
func ends(r *csr) (at time.Time, ok bool) {
	block, _ := pem.Decode(r.Status.Certificate)
	if block == nil {
		return time.Time{}, false
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, false // a foreign signer's: it goes with its request
	}
	return c.NotAfter, true
}
