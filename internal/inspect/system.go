package inspect

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/discovery"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/httpget"
	"laterna.dev/laterna/internal/plain"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// System is a running system, asked with a user's rights. It is safe for concurrent use.
type System struct {
	base      *url.URL
	api       *http.Client
	documents *discovery.Client
	client    kubernetes.Interface
}

// NewSystem returns the system that config reaches, without asking it anything.
func NewSystem(config *rest.Config) (*System, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the system: %w", err)
	}
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates of the system: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	rt, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	documents, err := rest.HTTPWrappersForConfig(config, toward(base, tlsConfig))
	if err != nil {
		return nil, err
	}
	return &System{
		base: base, api: httpget.NewClient(rt), client: client,
		documents: discovery.NewClient(discovery.ClientConfig{Transport: documents}),
	}, nil
}

// toward returns a transport that reaches one server whatever host a URL names, and
// verifies that the server has a certificate for that host: what a relying party meets
// for which the name leads there.
func toward(base *url.URL, tlsConfig *tls.Config) http.RoundTripper {
	address := base.Host
	if base.Port() == "" {
		address = net.JoinHostPort(base.Hostname(), "443")
	}
	if tlsConfig != nil {
		tlsConfig = tlsConfig.Clone()
		tlsConfig.ServerName = ""
	}
	return &http.Transport{
		TLSClientConfig:   tlsConfig,
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
}

// Listing is what a system accepts, as far as it tells.
type Listing struct {
	issuer.Listing
	// Partial is true for a system that tells its active issuer only, as a stock
	// kube-apiserver does; then Time and APIAudiences are unset.
	Partial bool
}

// Listing asks which issuers the system accepts.
func (s *System) Listing(ctx context.Context) (Listing, error) {
	raw, err := s.ask(ctx, issuer.ListingPath, discovery.MaxDocument)
	if status := httpget.StatusError(0); errors.As(err, &status) && (status == http.StatusNotFound || status == http.StatusForbidden) {
		return s.activeOnly(ctx)
	}
	var l Listing
	if err == nil && (json.Unmarshal(raw, &l.Listing) != nil || len(l.Issuers) == 0) {
		err = errors.New("the answer names no issuers")
	}
	if err != nil {
		return l, fmt.Errorf("asking the system for its issuers: %w", err)
	}
	return l, nil
}

func (s *System) activeOnly(ctx context.Context) (l Listing, err error) {
	raw, err := s.ask(ctx, issuer.DiscoveryPath, discovery.MaxDocument)
	var doc struct {
		Issuer string `json:"issuer"`
	}
	if err == nil && (json.Unmarshal(raw, &doc) != nil || doc.Issuer == "") {
		err = errors.New("the answer is not a discovery document")
	}
	if err != nil {
		return l, fmt.Errorf("asking the system for its issuer: %w", err)
	}
	l.Partial = true
	l.Issuers = []issuer.Listed{{Issuer: doc.Issuer, State: issuer.Active}}
	return l, nil
}

// KeySet returns the keys that the system accepts, as it publishes them, and parsed.
func (s *System) KeySet(ctx context.Context) (raw []byte, set *jwks.Set, err error) {
	raw, err = s.ask(ctx, issuer.JWKSPath, discovery.MaxKeySet)
	if err == nil {
		set, err = jwks.Parse(raw)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("asking the system for its keys: %w", err)
	}
	return raw, set, nil
}

func (s *System) ask(ctx context.Context, path string, max int) ([]byte, error) {
	body, _, err := httpget.JSON(ctx, s.api, s.base.JoinPath(path).String(), max)
	return body, err
}

// Fetch implements Discoverer: the system answers for any host.
func (s *System) Fetch(ctx context.Context, issuer boundtoken.Issuer) (*discovery.Documents, error) {
	return s.documents.Fetch(ctx, issuer)
}

// Review is a system's verdict on a token.
type Review struct {
	Accepted bool
	// User is whom the token is for, Why the reason of a refusal. Both are fit for
	// terminals.
	User, Why string
}

// Review asks the system whether it accepts a token for one of audiences, or for the API
// when there are none.
func (s *System) Review(ctx context.Context, t Token, audiences []string) (Review, error) {
	ctx, cancel := context.WithTimeout(ctx, httpget.Timeout)
	defer cancel()
	answer, err := s.client.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: t.Reveal(), Audiences: audiences},
	}, metav1.CreateOptions{})
	if apierrors.IsForbidden(err) {
		return Review{}, errors.New("you may not create TokenReviews")
	}
	if err != nil {
		return Review{}, errors.New(plain.Text(err.Error()))
	}
	r := Review{Accepted: answer.Status.Authenticated, User: plain.Text(answer.Status.User.Username)}
	if !r.Accepted {
		r.Why = "the system gives no reason"
		if answer.Status.Error != "" {
			r.Why = plain.Text(answer.Status.Error)
		}
	}
	return r, nil
}
