package sigv4_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sigv4"
	"laterna.dev/laterna/internal/aws/sigv4/sigv4test"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/redacted"
)

const (
	id     = "AKIDEXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var (
	now  = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	good = sigv4test.Credentials{ID: id, Secret: secret, Region: "eu-west-1", Service: "sts"}
)

// keys knows one long-term key and one of a session, which may be over.
type keys struct{}

func (keys) Key(_ context.Context, which, token string) (sigv4.Key, error) {
	switch {
	case which == id && token == "", which == "ASIA" && token == "T":
		return sigv4.Key{Secret: redacted.New(secret), Holder: &caller.Caller{AccessKeyID: which, Account: "111122223333"}}, nil
	case which == "ASIA" && token == "old":
		return sigv4.Key{}, sigv4.ErrExpired
	case which == "store":
		return sigv4.Key{}, errors.New("the store is away")
	}
	return sigv4.Key{}, sigv4.ErrUnknown
}

func verify(r *http.Request, body, service string, at time.Time) (*caller.Caller, error) {
	v := sigv4.New(sigv4.Config{Keys: keys{}, Wall: clock.WallOf(clocktesting.NewFakeClock(at))})
	form := r.URL.Query()
	sent, _ := url.ParseQuery(body)
	for k, all := range sent {
		form[k] = all
	}
	return v.Authenticate(context.Background(), &query.Call{Service: &query.Service{Name: service}, HTTP: r, Body: []byte(body), Form: form})
}

func post(body string) *http.Request {
	r := httptest.NewRequest("POST", "https://sts.eu-west-1.amazonaws.com/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return r
}

// The examples that AWS published for implementers.
func TestPublishedExamplesVerify(t *testing.T) {
	for _, tc := range []struct{ method, target, contentType, body, headers, signature string }{
		{"GET", "/", "", "", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"GET", "/?Param2=value2&Param1=value1", "", "", "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"GET", "/example/..", "", "", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"POST", "/", "application/x-www-form-urlencoded", "Param1=value1", "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		r := httptest.NewRequest(tc.method, "https://example.amazonaws.com"+tc.target, strings.NewReader(tc.body))
		r.Header.Set("X-Amz-Date", "20150830T123600Z")
		if tc.contentType != "" {
			r.Header.Set("Content-Type", tc.contentType)
		}
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="+tc.headers+", Signature="+tc.signature)
		if who, err := verify(r, tc.body, "service", now); err != nil || who.Account != "111122223333" {
			t.Errorf("%s %s: %v, %v", tc.method, tc.target, who, err)
		}
	}
}

func TestBothFormsAreVerified(t *testing.T) {
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	for _, c := range []sigv4test.Credentials{good, {ID: "ASIA", Secret: secret, Token: "T", Region: "local", Service: "sts"}} {
		r := post(body)
		c.Sign(r, body, now.Add(14*time.Minute))
		if who, err := verify(r, body, "sts", now); err != nil || who.AccessKeyID != c.ID {
			t.Errorf("header: %v, %v", who, err)
		}
		r = httptest.NewRequest("GET", "https://127.0.0.1:6443/aws/?"+body+"&x=a+b%2F", nil)
		c.Presign(r, now.Add(-14*time.Minute))
		if who, err := verify(r, "", "sts", now); err != nil || who.AccessKeyID != c.ID {
			t.Errorf("query: %v, %v", who, err)
		}
	}
}

func TestRefusalsAreAWSsOwn(t *testing.T) {
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	const wrong = "SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	with := func(change func(*sigv4test.Credentials)) sigv4test.Credentials { c := good; change(&c); return c }
	edit := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	none := func(*http.Request) {}
	for what, tc := range map[string]struct {
		with  sigv4test.Credentials
		at    time.Time
		after func(*http.Request)
		want  string
	}{
		"no signature":     {good, now, func(r *http.Request) { r.Header.Del("Authorization") }, "MissingAuthenticationToken: Request is missing Authentication Token"},
		"a bearer token":   {good, now, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, "MissingAuthenticationToken: Request is missing Authentication Token"},
		"wrong secret":     {with(func(c *sigv4test.Credentials) { c.Secret = "x" }), now, none, wrong},
		"another host":     {good, now, func(r *http.Request) { r.Host = "iam.amazonaws.com" }, wrong},
		"another path":     {good, now, func(r *http.Request) { r.URL.Path = "/aws/" }, wrong},
		"a query more":     {good, now, func(r *http.Request) { r.URL.RawQuery = "a=b" }, wrong},
		"a hash of others": {good, now, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, wrong},
		"another date":     {good, now, func(r *http.Request) { r.Header.Set("X-Amz-Date", "20150830T123601Z") }, wrong},
		"unknown key":      {with(func(c *sigv4test.Credentials) { c.ID = "AKIA" }), now, none, "InvalidClientTokenId: The security token included in the request is invalid"},
		"token with AKIA":  {with(func(c *sigv4test.Credentials) { c.Token = "T" }), now, none, "InvalidClientTokenId: The security token included in the request is invalid"},
		"session over":     {with(func(c *sigv4test.Credentials) { c.ID, c.Token = "ASIA", "old" }), now, none, "ExpiredToken: The security token included in the request is expired"},
		"the store":        {with(func(c *sigv4test.Credentials) { c.ID = "store" }), now, none, "the store is away"},
		"too old":          {good, now.Add(-15*time.Minute - time.Second), none, "SignatureDoesNotMatch: Signature expired: 20150830T122059Z is now earlier than 20150830T122100Z (20150830T123600Z - 15 min.)"},
		"too new":          {good, now.Add(15*time.Minute + time.Second), none, "SignatureDoesNotMatch: Signature not yet current: 20150830T125101Z is still later than 20150830T125100Z (20150830T123600Z + 15 min.)"},
		"another service":  {with(func(c *sigv4test.Credentials) { c.Service = "iam" }), now, none, "SignatureDoesNotMatch: Credential should be scoped to correct service: 'sts'."},
		"no region":        {with(func(c *sigv4test.Credentials) { c.Region = "EU West" }), now, none, "SignatureDoesNotMatch: Credential should be scoped to a valid region, not 'EU West'. "},
		"another end":      {good, now, edit("aws4_request", "aws3_request"), "SignatureDoesNotMatch: Credential should be scoped with a valid terminator: 'aws4_request'."},
		"another day":      {good, now, edit("/20150830/", "/20150831/"), "SignatureDoesNotMatch: Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP"},
		"host not signed":  {good, now, edit("content-type;host;", "content-type;"), "SignatureDoesNotMatch: 'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		"SigV4a":           {good, now, edit("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), "IncompleteSignature: Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'."},
		"four elements":    {good, now, edit("/sts/", "/"), "IncompleteSignature: Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIDEXAMPLE/20150830/eu-west-1/aws4_request'"},
		"no equal-sign":    {good, now, func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential") }, "IncompleteSignature: 'Credential' not a valid key=value pair (missing equal-sign) in Authorization header: 'AWS4-HMAC-SHA256 Credential'."},
		"nothing in it":    {good, now, func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256") }, "IncompleteSignature: Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. (Hashed with SHA-256 and encoded with Base64) Authorization=YI2YWea8FSxnksZL2ETHbs5elHm9HQufxTLK0W0ffV0="},
		"no date":          {good, now, func(r *http.Request) { r.Header.Del("X-Amz-Date") }, "IncompleteSignature: Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."},
		"a date of HTML":   {good, now, func(r *http.Request) { r.Header.Set("X-Amz-Date", "<b>") }, "IncompleteSignature: Date must be in ISO-8601 'basic format'. Got '<b>'. See http://en.wikipedia.org/wiki/ISO_8601"},
		"both forms":       {good, now, func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=x" }, "IncompleteSignature: Only one auth mechanism allowed"},
		"half a query": {good, now, func(r *http.Request) {
			r.Header.Del("Authorization")
			r.URL.RawQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-SignedHeaders=host"
		}, "IncompleteSignature: AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."},
	} {
		t.Run(what, func(t *testing.T) {
			r := post(body)
			tc.with.Sign(r, body, tc.at)
			tc.after(r)
			if _, err := verify(r, body, "sts", now); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("%v\nwant %s", err, tc.want)
			}
		})
	}
	r := post(body)
	good.Sign(r, body, now)
	if _, err := verify(r, body+"&x", "sts", now); err == nil || err.Error() != wrong {
		t.Errorf("another body: %v", err)
	}
	r = post("Action=ListRoles&SignatureVersion=2&AWSAccessKeyId=AKIA")
	if _, err := verify(r, "Action=ListRoles&SignatureVersion=2&AWSAccessKeyId=AKIA", "sts", now); err == nil || !strings.HasPrefix(err.Error(), "IncompleteSignature") {
		t.Errorf("version 2: %v", err)
	}
}

func TestUnknownKeysOfIAMEndWithAPeriod(t *testing.T) {
	r := post("Action=ListRoles")
	sigv4test.Credentials{ID: "AKIA", Secret: "x", Region: "us-east-1", Service: "iam"}.Sign(r, "Action=ListRoles", now)
	if _, err := verify(r, "Action=ListRoles", "iam", now); err == nil || err.Error() != "InvalidClientTokenId: The security token included in the request is invalid." {
		t.Error(err)
	}
}

func FuzzAuthenticate(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=00", "20150830T123600Z", "a=b&X-Amz-Date=1", "/a/../%2e%2e//b")
	f.Add("AWS4-HMAC-SHA256 ,,=,a=b=c", "", "X-Amz-Signature=1&X-Amz-Credential=a/b/c/d/e", "/")
	f.Fuzz(func(t *testing.T, authorization, date, query, path string) {
		r := httptest.NewRequest("POST", "https://sts.amazonaws.com/", nil)
		r.URL = &url.URL{Path: path, RawQuery: query}
		r.Header["Authorization"], r.Header["X-Amz-Date"] = []string{authorization}, []string{date}
		if who, err := verify(r, "", "sts", now); err == nil {
			t.Errorf("%v without the secret", who)
		}
	})
}
