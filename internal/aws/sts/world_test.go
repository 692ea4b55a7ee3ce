package sts_test

import (
	"context"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/iam/memory"
	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sigv4"
	"laterna.dev/laterna/internal/aws/sigv4/sigv4test"
	"laterna.dev/laterna/internal/aws/sts"
	"laterna.dev/laterna/internal/aws/sts/explain"
	"laterna.dev/laterna/internal/aws/sts/session"
	"laterna.dev/laterna/internal/aws/sts/webidentity"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/pki"
	"laterna.dev/laterna/internal/redacted"
)

const (
	account  = "111122223333"
	other    = "444455556666"
	audience = "sts.amazonaws.com"
	subject  = "system:serviceaccount:ns:app"
	host     = "issuer.example"
	roleARN  = "arn:aws:iam::" + account + ":role/my-role"
)

// secrets is the Secret of the sessions' keys.
type secrets struct {
	mu      sync.Mutex
	text    []byte
	version int
}

func (s *secrets) Load(context.Context) ([]byte, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, fmt.Sprint(s.version), nil
}

func (s *secrets) Save(_ context.Context, text []byte, version string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version != fmt.Sprint(s.version) {
		return session.ErrConflict
	}
	s.text, s.version = text, s.version+1
	return nil
}

// world is an STS with accounts, and issuers that are found by their hosts.
type world struct {
	t         testing.TB
	iam       *memory.Store
	clock     *clocktesting.FakeClock
	journal   *explain.Journal
	faults    *sts.Faults
	sts       *sts.STS
	handler   http.Handler
	authority *pki.Authority

	roles   []string           // that tests have named one by one
	issuers map[string]*issuer // by where they are, see known

	// bearers are whose tokens of pods there are, by token; identities are their roles.
	bearers    map[string]sts.Bearer
	identities podidentity.Identities

	mu    sync.Mutex
	hosts map[string]string // where host:port is
}

func newWorld(t testing.TB) *world {
	t.Helper()
	authority, err := pki.OpenAuthority(t.TempDir(), clock.Real())
	must(t, err)
	w := &world{
		t: t, clock: clocktesting.NewFakeClock(time.Now()), journal: &explain.Journal{}, faults: &sts.Faults{},
		authority: authority, hosts: map[string]string{}, bearers: map[string]sts.Bearer{}, identities: podidentity.Identities{},
	}
	w.iam = memory.New(w.clock.Now)
	api := clock.APIOf(w.clock)
	sealer := session.NewSealer(session.Config{Store: &secrets{}, Clock: api, Wall: clock.Real()})
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	w.sts = sts.New(sts.Config{
		Directory: w.iam, Sealer: sealer, Journal: w.journal, Faults: w.faults, Cluster: w.cluster(), Clock: api, Wall: clock.Real(), Log: log,
		Signatures: sigv4.New(sigv4.Config{Keys: session.Keys{Sealer: sealer, Directory: w.iam}, Wall: clock.Real()}),
		Network: webidentity.Network{
			Dial: w.dial, Wall: clock.Real(),
			Roots: func(string) *x509.CertPool { return authority.Pool() },
		},
	})
	w.handler = query.NewHandler(query.Config{Services: []*query.Service{w.sts.Service()}, Log: log})
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	at, ok := w.hosts[address]
	w.mu.Unlock()
	if !ok {
		return nil, errors.New("no such host")
	}
	return new(net.Dialer).DialContext(ctx, network, at)
}

// trusting returns a trust policy for a provider, with conditions as JSON.
func trusting(provider, conditions string, actions ...string) string {
	actions = append([]string{"sts:AssumeRoleWithWebIdentity"}, actions...)
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"` + provider + `"},"Action":["` + strings.Join(actions, `","`) + `"],"Condition":` + conditions + `}]}`
}

func providerARN(url string) string { return "arn:aws:iam::" + account + ":oidc-provider/" + url }

// standard is the provider and the role of most tests.
func (w *world) standard(i *issuer) {
	w.t.Helper()
	w.provider(iam.Provider{URL: i.url, ClientIDs: []string{audience}})
	w.role(iam.Role{Name: "my-role", TrustPolicy: trusting(providerARN(i.url), `{"StringEquals":{"`+i.url+`:sub":"`+subject+`","`+i.url+`:aud":"`+audience+`"}}`)})
}

func (w *world) provider(p iam.Provider) iam.Provider {
	w.t.Helper()
	if p.Account == "" {
		p.Account = account
	}
	made, err := w.iam.CreateProvider(w.t.Context(), p)
	must(w.t, err)
	return made
}

func (w *world) role(r iam.Role) iam.Role {
	w.t.Helper()
	if r.Account == "" {
		r.Account = account
	}
	if r.Path == "" {
		r.Path = "/"
	}
	made, err := w.iam.CreateRole(w.t.Context(), r)
	must(w.t, err)
	return made
}

// administrator returns the credentials of an account's administrator.
func (w *world) administrator(of string) sigv4test.Credentials {
	id := iam.NewKeyID(iam.LongTermPrefix, of)
	w.iam.AddAccessKey(iam.AccessKey{ID: id, Secret: redacted.New("secret"), Account: of, UserName: "admin", UserID: "AIDAEXAMPLE", Path: "/", Administrator: true})
	return sigv4test.Credentials{ID: id, Secret: "secret", Region: "us-east-1", Service: "sts"}
}

// answer is what came back.
type answer struct {
	status  int
	id      string
	body    string
	Code    string `xml:"Error>Code"`
	Message string `xml:"Error>Message"`

	web     result
	role    result
	Caller  callerIdentity `xml:"GetCallerIdentityResult"`
	Account string         `xml:"GetAccessKeyInfoResult>Account"`
	Web     result         `xml:"AssumeRoleWithWebIdentityResult"`
	Role    result         `xml:"AssumeRoleResult"`
}

type callerIdentity struct{ Arn, UserId, Account string }

type result struct {
	SubjectFromWebIdentityToken, Audience, Provider, SourceIdentity, PackedPolicySize string
	AssumedRoleUser                                                                   struct{ Arn, AssumedRoleId string }
	Credentials                                                                       struct {
		AccessKeyId, SecretAccessKey, SessionToken string
		Expiration                                 time.Time
	}
}

// credentials are those of the session that was begun.
func (r *result) credentials() sigv4test.Credentials {
	c := r.Credentials
	return sigv4test.Credentials{ID: c.AccessKeyId, Secret: c.SecretAccessKey, Token: c.SessionToken, Region: "us-east-1", Service: "sts"}
}

// call makes a call of an action, signed where there is with what.
func (w *world) call(action string, form url.Values, with *sigv4test.Credentials) answer {
	w.t.Helper()
	return w.callAt("sts.amazonaws.com", action, form, with)
}

func (w *world) callAt(at, action string, form url.Values, with *sigv4test.Credentials) answer {
	w.t.Helper()
	sent := url.Values{"Action": {action}, "Version": {sts.Version}}
	for k, v := range form {
		sent[k] = v
	}
	body := sent.Encode()
	r := httptest.NewRequest(http.MethodPost, "https://"+at+"/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if with != nil {
		with.Sign(r, body, time.Now())
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	a := answer{status: rec.Code, id: rec.Header().Get("X-Amzn-Requestid"), body: rec.Body.String()}
	must(w.t, xml.Unmarshal(rec.Body.Bytes(), &a))
	return a
}

// assume asks for the role with a token.
func (w *world) assume(token string, change ...func(url.Values)) answer {
	w.t.Helper()
	form := url.Values{"RoleArn": {roleARN}, "RoleSessionName": {"session"}, "WebIdentityToken": {token}}
	for _, f := range change {
		f(form)
	}
	return w.call("AssumeRoleWithWebIdentity", form, nil)
}

func (a answer) want(t testing.TB, status int, code, message string) {
	t.Helper()
	if a.status != status || a.Code != code || a.Message != message {
		t.Errorf("%d %s: %s\nwant %d %s: %s", a.status, a.Code, a.Message, status, code, message)
	}
}
