package podapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/logs"
)

// authority signs certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	a.cert = a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, a.key)
	return a
}

func (a *authority) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	template.NotBefore = time.Now().Add(-2 * time.Hour)
	parent := a.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (a *authority) client(t *testing.T, name pkix.Name, usage x509.ExtKeyUsage, end time.Time) *tls.Certificate {
	key := newKey(t)
	cert := a.sign(t, &x509.Certificate{Subject: name, ExtKeyUsage: []x509.ExtKeyUsage{usage}, NotAfter: end}, key)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// serve starts a server and returns its address; reviewed collects the users that
// access was reviewed for.
func serve(t *testing.T, cas *x509.CertPool) (addr string, reviewed chan authorizationv1.SubjectAccessReviewSpec) {
	t.Helper()
	reviewed = make(chan authorizationv1.SubjectAccessReviewSpec, 10)
	client := fake.NewClientset()
	client.PrependReactor("create", "subjectaccessreviews", func(a k8stesting.Action) (bool, runtime.Object, error) {
		review := a.(k8stesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview)
		reviewed <- review.Spec
		if review.Spec.User == "broken" {
			return true, nil, errors.New("no API server")
		}
		review.Status.Allowed = review.Spec.ResourceAttributes.Subresource == "proxy" && review.Spec.User == "ann"
		return true, review, nil
	})
	client.PrependReactor("create", "tokenreviews", func(a k8stesting.Action) (bool, runtime.Object, error) {
		review := a.(k8stesting.CreateAction).GetObject().(*authenticationv1.TokenReview)
		if review.Spec.Token == "error" {
			return true, nil, errors.New("no API server")
		}
		review.Status = authenticationv1.TokenReviewStatus{Authenticated: review.Spec.Token != "bad", User: authenticationv1.UserInfo{
			Username: review.Spec.Token, Groups: []string{"g"}, Extra: map[string]authenticationv1.ExtraValue{"k": {"v"}},
		}}
		return true, review, nil
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := newAuthority(t)
	server := New(Config{
		NodeName: "n1", Host: ports{}, Client: client, ClientCAs: cas, Clock: clock.Real(), Log: slog.New(slog.DiscardHandler),
		TLS: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{own.cert.Raw}, PrivateKey: own.key}}},
	})
	go func() { _ = server.Serve(t.Context(), l) }()
	return l.Addr().String(), reviewed
}

func TestWhoIsLetIn(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	addr, reviewed := serve(t, pool)
	hour := time.Now().Add(time.Hour)
	name := func(cn string) pkix.Name { return pkix.Name{CommonName: cn, Organization: []string{"o1", "o2"}} }
	for what, tt := range map[string]struct {
		cert  *tls.Certificate
		token string
		code  int
		user  string
	}{
		"nobody":                          {code: 401},
		"certificate":                     {cert: ours.client(t, name("ann"), x509.ExtKeyUsageClientAuth, hour), code: 200, user: "ann"},
		"certificate, not allowed":        {cert: ours.client(t, name("bob"), x509.ExtKeyUsageClientAuth, hour), code: 403, user: "bob"},
		"certificate of another CA":       {cert: theirs.client(t, name("ann"), x509.ExtKeyUsageClientAuth, hour), code: 401},
		"certificate of a server":         {cert: ours.client(t, name("ann"), x509.ExtKeyUsageServerAuth, hour), code: 401},
		"certificate that has ended":      {cert: ours.client(t, name("ann"), x509.ExtKeyUsageClientAuth, time.Now().Add(-time.Hour)), code: 401},
		"certificate without a name":      {cert: ours.client(t, name(""), x509.ExtKeyUsageClientAuth, hour), code: 401},
		"token":                           {token: "ann", code: 200, user: "ann"},
		"token, not allowed":              {token: "bob", code: 403, user: "bob"},
		"bad token":                       {token: "bad", code: 401},
		"token that cannot be reviewed":   {token: "error", code: 401},
		"access that cannot be reviewed":  {token: "broken", code: 500, user: "broken"},
		"foreign certificate and a token": {cert: theirs.client(t, name("x"), x509.ExtKeyUsageClientAuth, hour), token: "ann", code: 200, user: "ann"},
	} {
		t.Run(what, func(t *testing.T) {
			config := &tls.Config{InsecureSkipVerify: true}
			if tt.cert != nil {
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return tt.cert, nil }
			}
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr+"/healthz", nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.token != "" {
				req.Header.Set("Authorization", "bearer "+tt.token)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != tt.code {
				t.Errorf("%d %s, want %d", resp.StatusCode, body, tt.code)
			}
			if tt.user == "" {
				return
			}
			spec := <-reviewed
			for len(reviewed) > 0 {
				<-reviewed
			}
			a := spec.ResourceAttributes
			if spec.User != tt.user || a.Resource != "nodes" || a.Name != "n1" || a.Verb != "get" || a.Subresource != "healthz" {
				t.Errorf("reviewed %+v %+v", spec, a)
			}
			if tt.token != "" && (spec.Groups[0] != "g" || spec.Extra["k"][0] != "v") {
				t.Errorf("reviewed %+v", spec)
			}
			if tt.token == "" && (len(spec.Groups) != 3 || spec.Groups[0] != "o1" || spec.Groups[2] != "system:authenticated") {
				t.Errorf("reviewed %+v", spec)
			}
		})
	}
}

func TestStreamsNeedCreate(t *testing.T) {
	addr, reviewed := serve(t, nil)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr+"/exec/ns/p/c?command=x&output=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer bob")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if spec := <-reviewed; resp.StatusCode != http.StatusForbidden || spec.ResourceAttributes.Verb != "create" || spec.ResourceAttributes.Subresource != "proxy" {
		t.Errorf("%d, reviewed %+v", resp.StatusCode, spec.ResourceAttributes)
	}
}

func TestLogOptions(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for query, want := range map[string]struct {
		check func(logs.Options, bool) bool
		bad   string
	}{
		"":                                       {check: func(o logs.Options, p bool) bool { return o == (logs.Options{}) && !p }},
		"follow=true&timestamps=1&previous=true": {check: func(o logs.Options, p bool) bool { return o.Follow && o.Timestamps && p }},
		"tailLines=5&limitBytes=7":               {check: func(o logs.Options, _ bool) bool { return *o.Tail == 5 && *o.LimitBytes == 7 }},
		"tailLines=all":                          {check: func(o logs.Options, _ bool) bool { return o.Tail == nil }},
		"sinceSeconds=60":                        {check: func(o logs.Options, _ bool) bool { return o.Since.Equal(now.Add(-time.Minute)) }},
		"sinceTime=2025-12-31T00:00:00Z":         {check: func(o logs.Options, _ bool) bool { return o.Since.Equal(now.Add(-24 * time.Hour)) }},
		"stream=Stderr":                          {check: func(o logs.Options, _ bool) bool { return o.Stream == logs.Stderr }},
		"stream=" + corev1.LogStreamAll:          {check: func(o logs.Options, _ bool) bool { return o.Stream == "" }},
		"tailLines=-1":                           {bad: "tailLines"},
		"limitBytes=x":                           {bad: "limitBytes"},
		"sinceSeconds=1.5":                       {bad: "sinceSeconds"},
		"sinceTime=yesterday":                    {bad: "sinceTime"},
		"stream=both":                            {bad: "stream"},
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		o, previous, err := logOptions(q, now)
		var p *Problem
		switch {
		case want.bad != "":
			if !errors.As(err, &p) || p.Code != 422 || p.Message != "invalid value of parameter "+want.bad {
				t.Errorf("%q: error %v", query, err)
			}
		case err != nil || !want.check(o, previous):
			t.Errorf("%q: %+v, %v, %v", query, o, previous, err)
		}
	}
}
