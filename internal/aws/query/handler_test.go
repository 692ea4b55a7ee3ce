package query_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/query"
)

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// handler serves an API of a few actions, and notes what After was told.
func handler(after *[]string) http.Handler {
	type answer struct {
		Name string
		Tags *query.List[string]
	}
	sts := &query.Service{
		Name: "sts", Version: "2011-06-15", Namespace: namespace,
		Actions: map[string]query.Action{
			"Echo": {Public: true, Run: func(_ context.Context, c *query.Call) (any, error) {
				return answer{c.Form.Get("Name"), query.ListOf(c.Form["Tag"]...)}, nil
			}},
			"Delete": {Public: true, Run: func(context.Context, *query.Call) (any, error) { return nil, nil }},
			"Fail":   {Public: true, Run: func(context.Context, *query.Call) (any, error) { return nil, errors.New("the store is at 10.0.0.1") }},
			"Signed": {Run: func(_ context.Context, c *query.Call) (any, error) { return answer{Name: c.Caller.Account}, nil }},
			"Denied": {Public: true, Run: func(context.Context, *query.Call) (any, error) { return nil, query.AccessDenied("Not <you>") }},
		},
		Authenticate: func(_ context.Context, c *query.Call) (*caller.Caller, error) {
			if c.HTTP.Header.Get("Authorization") == "" {
				return nil, query.MissingAuthenticationToken()
			}
			return &caller.Caller{Account: "111122223333"}, nil
		},
		After: func(_ context.Context, c *query.Call, err error) {
			if err == nil {
				err = errors.New("done")
			}
			*after = append(*after, c.Action+" "+err.Error())
		},
	}
	iam := &query.Service{Name: "iam", Version: "2010-05-08", Namespace: "https://iam.amazonaws.com/doc/2010-05-08/", Actions: map[string]query.Action{
		"GetRole": {Run: func(context.Context, *query.Call) (any, error) { return nil, nil }},
	}}
	return query.NewHandler(query.Config{Services: []*query.Service{sts, iam}})
}

func ask(t *testing.T, h http.Handler, method, target, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	id := w.Header().Get("X-Amzn-Requestid")
	if len(id) != 36 {
		t.Errorf("request id %q", id)
	}
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, strings.ReplaceAll(string(text), id, "ID"), w.Header()
}

func TestAnswersAreWrittenAsAWSWritesThem(t *testing.T) {
	var after []string
	h := handler(&after)
	status, body, header := ask(t, h, "POST", "https://sts.amazonaws.com/", "Action=Echo&Version=2011-06-15&Name=a+b%26c&Tag=x&Tag=y")
	want := `<EchoResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <EchoResult>
    <Name>a b&amp;c</Name>
    <Tags>
      <member>x</member>
      <member>y</member>
    </Tags>
  </EchoResult>
  <ResponseMetadata>
    <RequestId>ID</RequestId>
  </ResponseMetadata>
</EchoResponse>
`
	if status != 200 || body != want || header.Get("Content-Type") != "text/xml" {
		t.Errorf("%d %s\n%s", status, header.Get("Content-Type"), body)
	}
	if status, get, _ := ask(t, h, "GET", "https://x:6443/aws/?Action=Echo&Version=2011-06-15&Name=a+b%26c&Tag=x&Tag=y", ""); status != 200 || get != want {
		t.Errorf("by GET %d\n%s", status, get)
	}
	status, body, _ = ask(t, h, "POST", "https://x/aws/", "Action=Delete&Version=2011-06-15")
	if status != 200 || strings.Contains(body, "Result") || !strings.Contains(body, "<DeleteResponse xmlns=") {
		t.Errorf("without a result: %d\n%s", status, body)
	}
}

func TestRefusalsAreWrittenAsAWSWritesThem(t *testing.T) {
	var after []string
	h := handler(&after)
	const sts, fault = namespace, "http://webservices.amazon.com/AWSFault/2005-15-09"
	for _, tc := range []struct {
		host, form    string
		status        int
		namespace     string
		kind, code, m string
	}{
		{"x", "Action=Denied&Version=2011-06-15", 403, sts, "Sender", "AccessDenied", "Not &lt;you&gt;"},
		{"x", "Action=Signed&Version=2011-06-15", 403, sts, "Sender", "MissingAuthenticationToken", "Request is missing Authentication Token"},
		{"x", "Action=Fail&Version=2011-06-15", 500, sts, "Receiver", "InternalFailure", "The request processing has failed because of an unknown error, exception or failure."},
		{"x", "Action=Nothing&Version=2011-06-15", 400, fault, "Sender", "InvalidAction", "Could not find operation Nothing for version 2011-06-15"},
		{"x", "Action=Echo", 400, fault, "Sender", "InvalidAction", "Could not find operation Echo for version NO_VERSION_SPECIFIED"},
		{"x", "Action=Echo&Version=2010-05-08", 400, fault, "Sender", "InvalidAction", "Could not find operation Echo for version 2010-05-08"},
		{"iam.amazonaws.com", "Action=Echo&Version=2011-06-15", 400, fault, "Sender", "InvalidAction", "Could not find operation Echo for version 2011-06-15"},
		{"sts.eu-west-1.amazonaws.com:443", "Action=GetRole&Version=2010-05-08", 400, fault, "Sender", "InvalidAction", "Could not find operation GetRole for version 2010-05-08"},
	} {
		want := `<ErrorResponse xmlns="` + tc.namespace + `">
  <Error>
    <Type>` + tc.kind + `</Type>
    <Code>` + tc.code + `</Code>
    <Message>` + tc.m + `</Message>
  </Error>
  <RequestId>ID</RequestId>
</ErrorResponse>
`
		status, body, _ := ask(t, h, "POST", "https://"+tc.host+"/", tc.form)
		if status != tc.status || body != want {
			t.Errorf("%s: %d\n%s\nwant %d\n%s", tc.form, status, body, tc.status, want)
		}
	}
	if got := strings.Join(after, "; "); !strings.Contains(got, "Signed MissingAuthenticationToken") || !strings.Contains(got, "the store is at") {
		t.Errorf("After heard %s", got)
	}
}

func TestWhatIsNoCallIsNotAnswered(t *testing.T) {
	var after []string
	h := handler(&after)
	if status, body, header := ask(t, h, "POST", "https://x/", "Version=2011-06-15"); status != 404 || body != "<UnknownOperationException/>\n" || header.Get("Content-Type") != "" {
		t.Errorf("no action: %d %q %v", status, body, header)
	}
	if status, _, _ := ask(t, h, "PUT", "https://x/", "Action=Echo&Version=2011-06-15"); status != 405 {
		t.Errorf("PUT: %d", status)
	}
	if status, _, _ := ask(t, h, "POST", "https://x/", "Action=Echo&Name="+strings.Repeat("x", query.MaxBody)); status != 413 {
		t.Errorf("long: %d", status)
	}
	if status, _, _ := ask(t, h, "POST", "https://x/", "Action=%zz"); status != 400 {
		t.Errorf("malformed: %d", status)
	}
	if status, _, _ := ask(t, h, "POST", "https://x/", `{"Action":"Echo"}`, "Content-Type", "application/json"); status != 404 {
		t.Errorf("JSON: %d", status)
	}
}
