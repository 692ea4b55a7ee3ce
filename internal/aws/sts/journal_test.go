package sts_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/sts/explain"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return text
}

// record is what the journal holds of a call.
func (w *world) record(id string) explain.Record {
	w.t.Helper()
	text, ok := w.journal.Find(id)
	if !ok {
		w.t.Fatalf("the journal holds nothing of %s", id)
	}
	var r explain.Record
	must(w.t, json.Unmarshal(text, &r))
	return r
}

// TestDenialsAreExplained are the complaints that people write about AWS: each has the
// check that said no, the two values side by side, and what to change.
func TestDenialsAreExplained(t *testing.T) {
	w := newWorld(t)
	i := w.issuer("oidc.example/id/ABC")
	near := providerARN(i.url)
	trust := func(provider, conditions string) string { return trusting(provider, conditions) }
	w.provider(iam.Provider{URL: i.url, ClientIDs: []string{audience}})
	sub := `{"StringEquals":{"` + i.url + `:sub":"` + subject + `"}}`
	for name, tc := range map[string]struct {
		claims object
		trust  string
		check  string // that says no first
		say    []string
	}{
		"StringEquals with a wildcard":      {nil, trust(near, `{"StringEquals":{"`+i.url+`:sub":"system:serviceaccount:ns:*"}}`), "policy", []string{"StringLike", subject}},
		"the provider's ARN with a typo":    {nil, trust(providerARN("oidc.example/id/ABD"), sub), "policy", []string{near}},
		"a key with the provider's ARN":     {nil, trust(near, `{"StringEquals":{"`+near+`:sub":"`+subject+`"}}`), "policy", []string{i.url + ":sub"}},
		"a key without the issuer's path":   {nil, trust(near, `{"StringEquals":{"oidc.example:sub":"`+subject+`"}}`), "policy", []string{i.url + ":sub"}},
		"a claim that is no key":            {nil, trust(near, `{"StringEquals":{"`+i.url+`:kubernetes.io":"x"}}`), "policy", []string{"kubernetes.io"}},
		"aud where sub was meant":           {nil, trust(near, `{"StringEquals":{"`+i.url+`:aud":"`+subject+`"}}`), "policy", []string{audience}},
		"sts.amazon.com":                    {nil, trust(near, `{"StringEquals":{"`+i.url+`:aud":"sts.amazon.com"}}`), "policy", []string{audience, "sts.amazon.com"}},
		"another service account":           {nil, trust(near, `{"StringEquals":{"`+i.url+`:sub":"system:serviceaccount:ns:other"}}`), "policy", []string{"system:serviceaccount:ns:other", subject}},
		"the cluster was made again":        {object{"iss": "https://oidc.example/id/NEW"}, trust(near, sub), "provider", []string{"https://oidc.example/id/NEW", "https://" + i.url, "made again"}},
		"the issuer with a slash":           {object{"iss": "https://" + i.url + "/"}, trust(near, sub), "provider", []string{"by the slash at its end"}},
		"the issuer in small letters":       {object{"iss": "https://oidc.example/id/abc"}, trust(near, sub), "provider", []string{"in letter case"}},
		"azp counts before aud":             {object{"azp": "my-client"}, trust(near, sub), "audience", []string{"my-client (the claim azp, which counts before aud sts.amazonaws.com)"}},
		"an audience with a typo":           {object{"aud": "sts.amazon.com"}, trust(near, sub), "audience", []string{`"sts.amazon.com" is almost "sts.amazonaws.com"`}},
		"a claim is missing":                {object{"exp": absent}, trust(near, sub), "claims", []string{"iss, sub, aud, iat, exp", "legacy service account token"}},
		"tags need another right":           {object{"https://aws.amazon.com/tags/principal_tags/a": "b"}, trust(near, sub), "policy", []string{"sts:TagSession"}},
		"the source identity needs another": {object{"https://aws.amazon.com/source_identity": "me"}, trust(near, sub), "policy", []string{"sts:SetSourceIdentity"}},
		"an old token":                      {object{"exp": 1000000000}, trust(near, sub), "times", []string{"2001-09-09T01:46:40Z", "token file"}},
	} {
		t.Run(name, func(t *testing.T) {
			role := w.role(iam.Role{Name: "r" + itoa(int64(len(w.roles)+1)), TrustPolicy: tc.trust})
			w.roles = append(w.roles, role.Name)
			a := w.assume(i.token(tc.claims), func(v url.Values) { v.Set("RoleArn", role.ARN()) })
			r := w.record(a.id)
			first, no := r.First()
			if a.status == 200 || !no || first.Name != tc.check {
				t.Fatalf("%d, first no is %+v of %+v", a.status, first, r.Checks)
			}
			text := string(mustJSON(t, first)) + string(r.Decision)
			for _, say := range tc.say {
				if !strings.Contains(text, strings.Trim(string(mustJSON(t, say)), `"`)) {
					t.Errorf("nothing of %q in %s", say, text)
				}
			}
			if strings.Contains(a.body, "almost") || len(first.Hints) == 0 {
				t.Errorf("on the wire: %s; hints %q", a.body, first.Hints)
			}
		})
	}
}

func TestTheRestIsLookedAtToo(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	w.standard(i)
	a := w.assume(i.token(object{"aud": "other", "sub": "other", "exp": 5}))
	var said []string
	for _, c := range w.record(a.id).Checks {
		said = append(said, c.Name+" "+string(c.Verdict))
	}
	if got := strings.Join(said, ", "); got != "claims yes, provider yes, times no, audience no, signature skipped, role yes, policy no" {
		t.Error(got)
	}
}

func TestTheJournalHoldsNoCredentials(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	w.standard(i)
	token := i.token(nil)
	a := w.assume(token)
	c := a.Web.credentials()
	w.call("GetCallerIdentity", nil, &c)
	w.assume("x." + token)
	w.assume("token", func(v url.Values) { v.Set("RoleArn", token); v.Set("RoleSessionName", token) })
	w.call("AssumeRole", url.Values{"RoleArn": {c.Token}, "RoleSessionName": {"x"}}, &c)
	for _, text := range append(w.journal.Last(10), w.journal.Briefs(10)...) {
		for _, secret := range []string{token, strings.Split(token, ".")[2], c.Secret, c.Token} {
			if strings.Contains(string(text), secret) {
				t.Errorf("a secret in %s", text)
			}
		}
	}
}

func TestWhatIfIsAskedWithoutASession(t *testing.T) {
	w := newWorld(t)
	i := w.issuer(host)
	w.standard(i)
	ask := func(q string) (int, explain.Record) {
		rec := httptest.NewRecorder()
		explain.Handler{Journal: w.journal, Ask: w.sts.Explain}.ServeHTTP(rec, httptest.NewRequest("POST", explain.Path, strings.NewReader(q)))
		var r explain.Record
		if rec.Code == 200 {
			must(t, json.Unmarshal(rec.Body.Bytes(), &r))
		}
		return rec.Code, r
	}
	if code, r := ask(`{"role":"` + roleARN + `","token":"` + i.token(nil) + `"}`); code != 200 || r.Code != "" || len(r.Checks) < 5 {
		t.Errorf("%d %+v", code, r)
	}
	if code, r := ask(`{"role":"` + roleARN + `","token":"` + i.token(object{"sub": "x"}) + `"}`); code != 200 || r.Code != "AccessDenied" || r.Message != notAllowed {
		t.Errorf("%d %+v", code, r)
	}
	if _, r := ask(`{"role":"` + roleARN + `","token":"` + i.token(object{"aud": "x"}) + `"}`); r.Message != notValidated || !slices.ContainsFunc(r.Checks, func(c explain.Check) bool { return c.Name == "signature" && c.Verdict == explain.Yes }) {
		t.Errorf("%+v", r)
	}
	if code, r := ask(`{"role":"my-role","token":"x"}`); code != 200 || r.Message != "Request ARN is invalid" {
		t.Errorf("%d %+v", code, r)
	}
	if code, _ := ask(`{}`); code != 400 {
		t.Error(code)
	}
	if len(w.journal.Last(10)) != 0 {
		t.Error("a question is in the journal")
	}
}
