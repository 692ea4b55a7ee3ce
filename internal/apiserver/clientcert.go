package apiserver

import (
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	x509request "k8s.io/apiserver/pkg/authentication/request/x509"

	"laterna.dev/laterna/internal/clock"
)

const (
	// certPause is how long a verified certificate is not verified again.
	certPause = time.Minute
	// certCount bounds how many are remembered.
	certCount = 1024
)

// certAuthenticator authenticates client certificates: the common name is the
// user, the organizations are the groups. Verifying a certificate costs more than
// handling a small request, so the outcome for a chain is kept for a while. It is
// safe for concurrent use.
type certAuthenticator struct {
	verify authenticator.Request
	clock  clock.Wall

	mu    sync.Mutex
	known map[[sha256.Size]byte]verifiedCert
}

type verifiedCert struct {
	response *authenticator.Response
	until    time.Time
}

// newCertAuthenticator trusts what roots sign. now is the wall clock: certificates
// do not follow the test clock.
func newCertAuthenticator(roots *x509.CertPool, now clock.Wall) *certAuthenticator {
	options := func() (x509.VerifyOptions, bool) {
		o := x509request.DefaultVerifyOptions()
		o.Roots = roots
		return o, true
	}
	inner := x509request.NewDynamic(options, x509request.CommonNameUserConversion)
	return &certAuthenticator{
		verify: group.NewAuthenticatedGroupAdder(inner),
		clock:  now,
		known:  map[[sha256.Size]byte]verifiedCert{},
	}
}

// AuthenticateRequest implements authenticator.Request.
func (a *certAuthenticator) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	if req.TLS == nil || len(req.TLS.PeerCertificates) == 0 {
		return nil, false, nil
	}
	chain := req.TLS.PeerCertificates
	key := chainKey(chain)
	if r, ok := a.lookUp(key); ok {
		return r, true, nil
	}
	r, ok, err := a.verify.AuthenticateRequest(req)
	if ok && err == nil {
		a.remember(key, r, chain)
	}
	return r, ok, err
}

func chainKey(chain []*x509.Certificate) [sha256.Size]byte {
	h := sha256.New()
	for _, c := range chain {
		h.Write(c.Raw)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (a *certAuthenticator) lookUp(key [sha256.Size]byte) (*authenticator.Response, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, ok := a.known[key]
	if !ok {
		return nil, false
	}
	if !a.clock.Now().Before(v.until) {
		delete(a.known, key)
		return nil, false
	}
	return v.response, true
}

func (a *certAuthenticator) remember(key [sha256.Size]byte, r *authenticator.Response, chain []*x509.Certificate) {
	until := a.clock.Now().Add(certPause)
	for _, c := range chain {
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= certCount {
		clear(a.known)
	}
	a.known[key] = verifiedCert{r, until}
}
