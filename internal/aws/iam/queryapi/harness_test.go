package queryapi_test

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/iam/memory"
	"laterna.dev/laterna/internal/aws/iam/queryapi"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sigv4"
	"laterna.dev/laterna/internal/aws/sigv4/sigv4test"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/redacted"
)

const account, other = "111122223333", "444455556666"

var now = time.Date(2026, 9, 11, 11, 48, 26, 123456789, time.UTC)

// desk is the API over HTTP with a store in memory, and who calls it.
type desk struct {
	t      *testing.T
	store  *memory.Store
	url    string
	keys   map[string]sigv4.Key
	signer sigv4test.Credentials
}

func newDesk(t *testing.T, change ...func(*queryapi.Config)) *desk {
	t.Helper()
	d := &desk{t: t, store: memory.New(func() time.Time { return now }), keys: map[string]sigv4.Key{}}
	wall := clocktesting.NewFakeClock(now)
	c := queryapi.Config{
		Store:        d.store,
		Authenticate: sigv4.New(sigv4.Config{Keys: d, Wall: clock.WallOf(wall)}).Authenticate,
		Clock:        clock.New(wall),
	}
	for _, f := range change {
		f(&c)
	}
	server := httptest.NewServer(query.NewHandler(query.Config{Services: []*query.Service{queryapi.New(c).Service()}}))
	t.Cleanup(server.Close)
	d.url = server.URL
	d.administrator(account)
	return d
}

// Key implements sigv4.Keys.
func (d *desk) Key(_ context.Context, id, _ string) (sigv4.Key, error) {
	k, ok := d.keys[id]
	if !ok {
		return k, sigv4.ErrUnknown
	}
	return k, nil
}

// administrator lets an account's administrator call.
func (d *desk) administrator(account string) {
	id := iam.NewKeyID(iam.LongTermPrefix, account)
	k := iam.AccessKey{Account: account, UserName: "administrator"}
	d.as(id, &caller.Caller{AccessKeyID: id, Account: account, ARN: k.ARN(), UserID: "AIDAADMINISTRATOR0000", Administrator: true})
}

// as lets somebody call.
func (d *desk) as(id string, c *caller.Caller) {
	d.keys[id] = sigv4.Key{Secret: redacted.New("secret"), Holder: c}
	d.signer = sigv4test.Credentials{ID: id, Secret: "secret", Region: "us-east-1", Service: "iam"}
}

// role lets a session of a role call, after the role was made.
func (d *desk) role(name string) {
	d.t.Helper()
	r, err := d.store.Role(d.t.Context(), account, name)
	if err != nil {
		d.t.Fatal(err)
	}
	id := iam.NewKeyID(iam.TemporaryPrefix, account)
	d.as(id, &caller.Caller{AccessKeyID: id, Account: account, UserID: r.ID + ":me",
		ARN:     "arn:aws:sts::" + account + ":assumed-role/" + name + "/me",
		Session: &caller.Session{RoleARN: r.ARN(), RoleID: r.ID, Name: "me"}})
}

// answer is what came back.
type answer struct {
	status int
	body   string
}

// do calls an operation with parameters, name after value.
func (d *desk) do(action string, params ...string) answer {
	d.t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	body := form.Encode()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.url+"/", strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if d.signer.ID != "" {
		d.signer.Sign(r, body, now)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer{res.StatusCode, string(raw)}
}

// must calls an operation that succeeds, and returns its answer.
func (d *desk) must(action string, params ...string) string {
	d.t.Helper()
	a := d.do(action, params...)
	if a.status != http.StatusOK {
		d.t.Fatalf("%s %q: %d %s", action, params, a.status, a.body)
	}
	return a.body
}

// fault is an answer's error.
type fault struct {
	Type    string `xml:"Error>Type"`
	Code    string `xml:"Error>Code"`
	Message string `xml:"Error>Message"`
}

// refused calls an operation that is answered with an error.
func (d *desk) refused(status int, code, message, action string, params ...string) {
	d.t.Helper()
	a := d.do(action, params...)
	var f fault
	if err := xml.Unmarshal([]byte(a.body), &f); err != nil {
		d.t.Errorf("%s %q: %d %s", action, params, a.status, a.body)
		return
	}
	if a.status != status || f.Code != code || f.Message != message || f.Type != "Sender" {
		d.t.Errorf("%s %.200q:\n got %d %s %q\nwant %d %s %q", action, params, a.status, f.Code, f.Message, status, code, message)
	}
}

// holds looks for parts of an answer, in their order.
func (d *desk) holds(body string, parts ...string) {
	d.t.Helper()
	rest := body
	for _, p := range parts {
		_, after, ok := strings.Cut(rest, p)
		if !ok {
			d.t.Errorf("no %s in its place in\n%s", p, body)
			return
		}
		rest = after
	}
}

// lacks looks for what must not be in an answer.
func (d *desk) lacks(body string, parts ...string) {
	d.t.Helper()
	for _, p := range parts {
		if strings.Contains(body, p) {
			d.t.Errorf("there is %s in\n%s", p, body)
		}
	}
}
