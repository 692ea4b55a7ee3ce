package explain_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/aws/sts/explain"
)

func TestTheJournalIsBounded(t *testing.T) {
	j := &explain.Journal{}
	for n := range explain.MaxRecords + 50 {
		j.Keep(&explain.Record{RequestID: fmt.Sprint(n)})
	}
	if _, ok := j.Find("49"); ok || len(j.Last(2*explain.MaxRecords)) != explain.MaxRecords {
		t.Errorf("%d are kept", len(j.Last(2*explain.MaxRecords)))
	}
	if text, ok := j.Find("50"); !ok || !strings.Contains(string(text), `"requestID":"50"`) {
		t.Errorf("%s", text)
	}
	big := strings.Repeat("x ", 100<<10)
	for n := range 100 {
		j.Keep(&explain.Record{RequestID: fmt.Sprint("big", n), Message: big})
	}
	total := 0
	for _, text := range j.Last(explain.MaxRecords) {
		total += len(text)
	}
	if total > explain.MaxBytes || total < explain.MaxBytes/2 {
		t.Errorf("%d bytes are kept", total)
	}
	j.Keep(&explain.Record{RequestID: "decision", Decision: json.RawMessage(`"` + strings.Repeat("x ", 150<<10) + `"`)})
	if text, ok := j.Find("decision"); !ok || len(text) > 1000 {
		t.Errorf("%v, %d bytes", ok, len(text))
	}
}

func TestRecordsAreReadByTheirID(t *testing.T) {
	j := &explain.Journal{}
	for n := range 30 {
		j.Keep(&explain.Record{RequestID: fmt.Sprint("r", n)})
	}
	get := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		explain.Handler{Journal: j}.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w.Code, w.Body.String()
	}
	var all explain.Records
	code, text := get("GET", explain.Path)
	if err := json.Unmarshal([]byte(text), &all); code != 200 || err != nil || len(all.Records) != 20 || !strings.Contains(string(all.Records[0]), `"r29"`) {
		t.Errorf("%d %v %s", code, err, text)
	}
	if code, text := get("GET", explain.Path+"?limit=1"); code != 200 || strings.Count(text, "requestID") != 1 {
		t.Errorf("%d %s", code, text)
	}
	if code, text := get("GET", explain.Path+"/r3"); code != 200 || !strings.Contains(text, `"requestID":"r3"`) {
		t.Errorf("%d %s", code, text)
	}
	if code, text := get("GET", explain.Path+"/r99"); code != 404 || !strings.Contains(text, "no call of this id") {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := get("DELETE", explain.Path); code != 405 {
		t.Error(code)
	}
}

func TestListsAreBrief(t *testing.T) {
	j := &explain.Journal{}
	r := &explain.Record{RequestID: "r", Action: "AssumeRoleWithWebIdentity", Role: strings.Repeat("ä", 200), Token: &explain.Token{Subject: "me"}, Decision: json.RawMessage(`[1]`)}
	r.Genuine()
	r.Add(explain.Check{Name: "claims", Verdict: explain.Yes})
	r.Add(explain.Check{Name: "policy", Verdict: explain.No})
	j.Keep(r)
	ask := func(tag string) (int, string, string) {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", explain.Path+"?brief", nil)
		r.Header.Set("If-None-Match", tag)
		explain.Handler{Journal: j}.ServeHTTP(w, r)
		return w.Code, w.Header().Get("ETag"), w.Body.String()
	}
	code, tag, text := ask("")
	var all struct{ Records []explain.Brief }
	if err := json.Unmarshal([]byte(text), &all); code != 200 || err != nil || len(all.Records) != 1 || strings.Contains(text, "decision") {
		t.Fatalf("%d %v %s", code, err, text)
	}
	if b := all.Records[0]; b.RequestID != "r" || b.SaidNo != "policy" || b.Subject != "me" || !b.Verified || b.Role != strings.Repeat("ä", 128)+"…" {
		t.Errorf("%+v", b)
	}
	if code, _, text := ask(tag); code != 304 || text != "" {
		t.Errorf("nothing has changed: %d %s", code, text)
	}
	for n := range 30 {
		j.Keep(&explain.Record{RequestID: fmt.Sprint("r", n)})
	}
	if code, _, text := ask(tag); code != 200 || strings.Count(text, "requestID") != 31 {
		t.Errorf("%d %s", code, text)
	}
}

// TestTokensInTheWrongPlaceAreNotKept: whoever takes one parameter for the other.
func TestTokensInTheWrongPlaceAreNotKept(t *testing.T) {
	const head, signature = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL3gifQ.", "c2lnbmF0dXJl"
	j := &explain.Journal{}
	sealed := "AcrJV+/" + strings.Repeat("hw8=", 100)
	j.Keep(&explain.Record{RequestID: "r", Role: head + signature, Session: sealed, Agent: "curl/" + head + signature, Caller: sealed, Message: "no role " + head + signature + "!"})
	for _, all := range [][]json.RawMessage{j.Last(1), j.Briefs(1)} {
		if text := string(all[0]); strings.Contains(text, signature) || strings.Contains(text, sealed[:20]) || !strings.Contains(text, head+"[redacted]") || !strings.Contains(text, sealed[:16]+"[redacted]") || !json.Valid(all[0]) {
			t.Errorf("%s", text)
		}
	}
	ordinary := &explain.Record{RequestID: "o", Role: "arn:aws:iam::111122223333:role/" + strings.Repeat("path/", 40) + "a", Agent: "aws-cli/2.9.19 Python/3.11.2 eyJ", Message: "a.b.c"}
	j.Keep(ordinary)
	if text := string(j.Last(1)[0]); strings.Contains(text, "redacted") || !strings.Contains(text, ordinary.Role) {
		t.Errorf("%s", text)
	}
}

func TestTheFirstNoCounts(t *testing.T) {
	r := &explain.Record{}
	if !r.Said(true, explain.Check{Name: "a", Hints: []string{"x"}}) || r.Checks[0].Hints != nil {
		t.Errorf("%+v", r.Checks)
	}
	if _, no := r.First(); no {
		t.Error("nothing said no")
	}
	r.Said(false, explain.Check{Name: "b"})
	r.Said(false, explain.Check{Name: "c"})
	if c, no := r.First(); !no || c.Name != "b" {
		t.Errorf("%+v", c)
	}
	var nobody *explain.Record
	if nobody.Add(explain.Check{}); nobody.Said(false, explain.Check{}) {
		t.Error("a record of nobody says yes")
	}
	for range 200 {
		r.Add(explain.Check{})
	}
	if len(r.Checks) != 100 {
		t.Error(len(r.Checks))
	}
}
