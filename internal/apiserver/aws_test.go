package apiserver_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/aws/sigv4/sigv4test"
	"laterna.dev/laterna/internal/network/backends"
)

// aws is a system that STS and IAM are asked of.
type aws struct {
	*system
	h1, h2 *http.Client // they find every host at the server
}

// withAWS is what STS needs to find the system's own issuer.
func withAWS(s **system) func(*apiserver.Config) {
	return func(c *apiserver.Config) {
		c.AWS = apiserver.AWSConfig{Authorities: c.Serving.ClientCAs}
		c.Serving.IssuerCertificate = func(host string) (*tls.Certificate, error) { return (*s).authority.Hosts().Certificate(host) }
	}
}

func newAWS(s *system) *aws {
	client := func(h2 bool) *http.Client {
		t := &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: s.authority.Pool()},
			ForceAttemptHTTP2: h2,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, s.addr)
			},
		}
		s.t.Cleanup(t.CloseIdleConnections)
		return &http.Client{Transport: t}
	}
	return &aws{s, client(false), client(true)}
}

// create posts an object of iam.laterna.dev.
func (s *aws) create(resource, name string, spec map[string]any) {
	s.t.Helper()
	kind := map[string]string{"roles": "Role", "openidconnectproviders": "OpenIDConnectProvider"}[resource]
	body, err := json.Marshal(map[string]any{"apiVersion": "iam.laterna.dev/v1alpha1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec})
	must(s.t, err)
	must(s.t, s.admin().Discovery().RESTClient().Post().AbsPath("/apis/iam.laterna.dev/v1alpha1/"+resource).SetHeader("Content-Type", "application/json").Body(body).Do(s.t.Context()).Error())
}

// session is what a role was assumed with.
type session struct {
	Arn             string `xml:"AssumeRoleWithWebIdentityResult>AssumedRoleUser>Arn"`
	AccessKeyId     string `xml:"AssumeRoleWithWebIdentityResult>Credentials>AccessKeyId"`
	SecretAccessKey string `xml:"AssumeRoleWithWebIdentityResult>Credentials>SecretAccessKey"`
	SessionToken    string `xml:"AssumeRoleWithWebIdentityResult>Credentials>SessionToken"`
	Caller          string `xml:"GetCallerIdentityResult>Arn"`
	Code            string `xml:"Error>Code"`
}

func (s *aws) do(c *http.Client, r *http.Request) session {
	s.t.Helper()
	answer, err := c.Do(r)
	must(s.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(s.t, err)
	var out session
	if err := xml.Unmarshal(text, &out); err != nil {
		s.t.Fatalf("%s: %v: %s", r.URL, err, text)
	}
	return out
}

func (s *aws) post(target string, form url.Values) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	must(s.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func TestATokenOfTheSystemBecomesARole(t *testing.T) {
	var booted *system
	booted, log := audited(t, everything, withAWS(&booted))
	s := newAWS(booted)
	secrets := s.admin().CoreV1().Secrets(metav1.NamespaceSystem)
	if _, err := secrets.Get(t.Context(), "aws-session-keys", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("something of AWS began before it was asked for: %v", err)
	}
	accounts := s.admin().CoreV1().ServiceAccounts("default")
	_, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "app"}}, metav1.CreateOptions{})
	must(t, err)
	request, err := accounts.CreateToken(t.Context(), "app", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"sts.amazonaws.com"}}}, metav1.CreateOptions{})
	must(t, err)
	const issuer = "kubernetes.default.svc"
	s.create("openidconnectproviders", "111122223333:"+issuer, map[string]any{"clientIDs": []string{"sts.amazonaws.com"}})
	s.create("roles", "111122223333:my-role", map[string]any{"assumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/` + issuer + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"` + issuer + `:sub":"system:serviceaccount:default:app"}}}]}`})

	form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::111122223333:role/my-role"}, "RoleSessionName": {"s1"}, "WebIdentityToken": {request.Status.Token}}
	var got session
	for _, target := range []string{"https://localhost/aws", "https://localhost/aws/", "https://sts.amazonaws.com/", "https://sts.eu-west-1.amazonaws.com"} {
		for _, c := range []*http.Client{s.h1, s.h2} {
			if got = s.do(c, s.post(target, form)); got.Arn != "arn:aws:sts::111122223333:assumed-role/my-role/s1" {
				t.Errorf("%s: %+v", target, got)
			}
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://localhost/aws/?"+form.Encode(), nil)
	must(t, err)
	if got := s.do(s.h2, r); got.Arn == "" {
		t.Errorf("by GET: %+v", got)
	}

	with := sigv4test.Credentials{ID: got.AccessKeyId, Secret: got.SecretAccessKey, Token: got.SessionToken, Region: "eu-west-1", Service: "sts"}
	who := url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}
	for _, target := range []string{"https://localhost/aws/", "https://sts.eu-west-1.amazonaws.com/"} {
		for _, c := range []*http.Client{s.h1, s.h2} {
			r := s.post(target, who)
			with.Sign(r, who.Encode(), time.Now())
			if got := s.do(c, r); got.Caller != "arn:aws:sts::111122223333:assumed-role/my-role/s1" {
				t.Errorf("%s: %+v", target, got)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target+"?"+who.Encode(), nil)
			must(t, err)
			with.Presign(r, time.Now())
			if got := s.do(c, r); got.Caller == "" {
				t.Errorf("%s presigned: %+v", target, got)
			}
		}
	}
	if got := s.do(s.h2, s.post("https://localhost/aws/", who)); got.Code != "MissingAuthenticationToken" {
		t.Errorf("unsigned: %+v", got)
	}
	kept, err := secrets.Get(t.Context(), "aws-session-keys", metav1.GetOptions{})
	if err != nil || kept.Type != "iam.laterna.dev/session-keys" {
		t.Errorf("%v, %s", err, kept.Type)
	}
	raw, err := os.ReadFile(log)
	must(t, err)
	for _, secret := range []string{request.Status.Token, got.SecretAccessKey, url.QueryEscape(got.SessionToken), string(kept.Data["keys"])} {
		if secret == "" || strings.Contains(string(raw), secret) {
			t.Errorf("a secret of %d characters is in the audit log", len(secret))
		}
	}
}

// TestProvidersLeadToNothingThatTrustsTheServer: who registers a provider chooses a host.
func TestProvidersLeadToNothingThatTrustsTheServer(t *testing.T) {
	var s *system
	s = boot(t, t.TempDir(), func(c *apiserver.Config) { withAWS(&s)(c) })
	for _, address := range []string{
		"127.0.0.3:443", "127.0.0.2:2379", "[::1]:443", "[::ffff:127.0.0.3]:443", "0.0.0.0:443", "169.254.169.254:443", "169.254.170.23:80", "[fe80::1]:443",
		"10.96.0.1:443", "224.0.0.1:443", "localhost:443",
	} {
		if err := s.server.DialIssuer(t.Context(), address); !errors.Is(err, backends.ErrNotAllowed) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"kubernetes.default.svc:443", "KUBERNETES.default.svc:443"} {
		if err := s.server.DialIssuer(t.Context(), address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestCertificatesAreForHostsOfAWSAlone(t *testing.T) {
	var booted *system
	booted = boot(t, t.TempDir(), func(c *apiserver.Config) { withAWS(&booted)(c) })
	s := newAWS(booted)
	for host, want := range map[string]bool{
		"sts.amazonaws.com": true, "iam.amazonaws.com": true, "sts.us-gov-west-1.amazonaws.com": true, "sts.cn-north-1.amazonaws.com.cn": true,
		"s3.amazonaws.com": false, "sts.amazonaws.com.evil.example": false, "sts.x.amazonaws.com": false, "evil.example": false, "STS.amazonaws.com": true,
	} {
		conn, err := tls.Dial("tcp", s.addr, &tls.Config{RootCAs: s.authority.Pool(), ServerName: host})
		if err == nil {
			conn.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestFaultsAreForTestClocksAlone(t *testing.T) {
	var s *system
	s = boot(t, t.TempDir(), func(c *apiserver.Config) { withAWS(&s)(c) })
	if code, raw := s.fetch(s.privileged(), http.MethodGet, "/aws/faults", nil); code != http.StatusNotFound || !strings.Contains(string(raw), "--test-clock") {
		t.Errorf("%d %s", code, raw)
	}
	s = boot(t, t.TempDir(), func(c *apiserver.Config) { withAWS(&s)(c); c.AWS.Faults = true })
	client := s.admin().Discovery().RESTClient()
	must(t, client.Put().AbsPath("/aws/faults").SetHeader("Content-Type", "application/json").Body([]byte(`{"throttled":true}`)).Do(t.Context()).Error())
	a := newAWS(s)
	if got := a.do(a.h2, a.post("https://localhost/aws/", url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}})); got.Code != "Throttling" {
		t.Errorf("%+v", got)
	}
}
