package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// relyingAudience is what relying parties are called in tokens.
const relyingAudience = "vault"

// party is somebody to whom pods log in with a token of the audience vault.
type party interface {
	// login returns the subject of a token that is good. It may be called concurrently.
	login(ctx context.Context, token string) (subject string, err error)
}

// offsetClock is the time of relying parties: wall time and what was added.
type offsetClock struct{ offset atomic.Int64 }

func (c *offsetClock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

func (c *offsetClock) add(d time.Duration) { c.offset.Add(int64(d)) }

// outside is the HTTP client of a relying party outside: it trusts the system's
// authority and finds the names of the API's Service at the system's address.
func (s *system) outside(t testing.TB) *http.Client {
	t.Helper()
	trust, err := rest.TLSConfigFor(rest.AnonymousClientConfig(s.config(t)))
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	transport := &http.Transport{
		TLSClientConfig: trust,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if strings.HasPrefix(addr, "kubernetes.default.svc") {
				addr = s.Listen
			}
			return dialer.DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// oidcParty verifies with go-oidc. Like Vault it is configured with the URLs of issuers
// and discovers each when it first sees a token of it.
type oidcParty struct {
	client  *http.Client
	issuers []string
	clock   *offsetClock
	// algorithms are those it allows; nil for those in the discovery document, which
	// is read once.
	algorithms []string

	mu        sync.Mutex
	verifiers map[string]*oidc.IDTokenVerifier
}

func newOIDCParty(client *http.Client, clock *offsetClock, issuers ...string) *oidcParty {
	algorithms := []string{oidc.RS256, oidc.ES256}
	return &oidcParty{client: client, issuers: issuers, clock: clock, algorithms: algorithms, verifiers: map[string]*oidc.IDTokenVerifier{}}
}

func (p *oidcParty) login(ctx context.Context, token string) (string, error) {
	issuer, err := saidIssuer(token)
	if err != nil {
		return "", err
	}
	verifier, err := p.verifier(issuer)
	if err != nil {
		return "", err
	}
	id, err := verifier.Verify(ctx, token)
	if err != nil {
		return "", err
	}
	return id.Subject, nil
}

func (p *oidcParty) verifier(issuer string) (*oidc.IDTokenVerifier, error) {
	if !slices.Contains(p.issuers, issuer) {
		return nil, fmt.Errorf("issuer %q is not configured", issuer)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.verifiers[issuer]; v != nil {
		return v, nil
	}
	// The provider keeps this context for as long as it fetches keys.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.Background(), p.client), issuer)
	if err != nil {
		return nil, err
	}
	p.verifiers[issuer] = provider.Verifier(&oidc.Config{
		ClientID: relyingAudience, Now: p.clock.now, SupportedSigningAlgs: p.algorithms,
	})
	return p.verifiers[issuer], nil
}

// saidIssuer is what a token that nobody has checked says of its issuer.
func saidIssuer(token string) (string, error) {
	var c jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &c); err != nil {
		return "", err
	}
	return c.Issuer, nil
}

// jwtParty verifies with golang-jwt and fetches keys itself: once per max-age, and when
// a token names a key that it does not have.
type jwtParty struct {
	client  *http.Client
	issuers []string
	clock   *offsetClock
	leeway  time.Duration
	// keySet, if given, is where the keys of all issuers are: nothing is discovered.
	keySet string

	mu      sync.Mutex
	sets    map[string]*fetchedKeys
	fetches int
}

type fetchedKeys struct {
	jose.JSONWebKeySet
	until time.Time
}

func newJWTParty(client *http.Client, clock *offsetClock, issuers ...string) *jwtParty {
	return &jwtParty{client: client, issuers: issuers, clock: clock, leeway: time.Minute, sets: map[string]*fetchedKeys{}}
}

func (p *jwtParty) login(_ context.Context, token string) (string, error) {
	parsed, err := jwt.ParseWithClaims(token, &jwt.RegisteredClaims{}, p.key,
		jwt.WithValidMethods([]string{"RS256", "ES256"}), jwt.WithAudience(relyingAudience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(p.leeway), jwt.WithTimeFunc(p.clock.now))
	if err != nil {
		return "", err
	}
	return parsed.Claims.GetSubject()
}

func (p *jwtParty) key(t *jwt.Token) (any, error) {
	issuer, err := t.Claims.GetIssuer()
	if err != nil || !slices.Contains(p.issuers, issuer) {
		return nil, fmt.Errorf("issuer %q is not configured", issuer)
	}
	id, _ := t.Header["kid"].(string)
	p.mu.Lock()
	defer p.mu.Unlock()
	set := p.sets[issuer]
	if set == nil || p.clock.now().After(set.until) || len(set.Key(id)) == 0 {
		if set, err = p.fetch(issuer); err != nil {
			return nil, err
		}
		p.sets[issuer] = set
	}
	if found := set.Key(id); len(found) == 1 {
		return found[0].Key, nil
	}
	return nil, fmt.Errorf("no key %q among %d of %s", id, len(set.Keys), issuer)
}

// fetch discovers an issuer anew.
func (p *jwtParty) fetch(issuer string) (*fetchedKeys, error) {
	p.fetches++
	uri, err := p.keySet, error(nil)
	if uri == "" {
		uri, err = p.discover(issuer)
	}
	if err != nil {
		return nil, err
	}
	var set fetchedKeys
	age, err := p.get(uri, &set.JSONWebKeySet)
	set.until = p.clock.now().Add(age)
	return &set, err
}

// discover returns where the keys of an issuer are.
func (p *jwtParty) discover(issuer string) (string, error) {
	var document struct {
		Issuer string
		JWKS   string `json:"jwks_uri"`
	}
	if _, err := p.get(strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &document); err != nil {
		return "", err
	}
	if document.Issuer != issuer {
		return "", fmt.Errorf("the document of %q is of %q", issuer, document.Issuer)
	}
	return document.JWKS, nil
}

func (p *jwtParty) get(url string, into any) (maxAge time.Duration, err error) {
	resp, err := p.client.Get(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s, %v: %s", url, resp.Status, err, raw)
	}
	_, age, _ := strings.Cut(resp.Header.Get("Cache-Control"), "max-age=")
	seconds, err := strconv.Atoi(age)
	if err != nil {
		return 0, fmt.Errorf("%s: Cache-Control %q", url, resp.Header.Get("Cache-Control"))
	}
	return time.Duration(seconds) * time.Second, json.Unmarshal(raw, into)
}

// reviewParty asks the API of every token.
type reviewParty struct{ client kubernetes.Interface }

func (p reviewParty) login(ctx context.Context, token string) (string, error) {
	r, err := p.client.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{relyingAudience}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	if !r.Status.Authenticated || !slices.Equal(r.Status.Audiences, []string{relyingAudience}) {
		return "", fmt.Errorf("not authenticated for %v: %s", r.Status.Audiences, r.Status.Error)
	}
	return r.Status.User.Username, nil
}
