package issuer_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens/issuer"
)

func TestListingSaysWhatIsAccepted(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s := newSet(t, issuer.Config{Issuers: []string{"https://own", "https://flag"}, APIAudiences: []string{"api"}, JWKSURI: "https://cdn/keys", Clock: clock.APIOf(clocktesting.NewFakeClock(now))})
	later, before := now.Add(time.Hour), now.Add(-time.Second)
	if err := s.Apply(issuer.State{Active: "https://former"}); err != nil {
		t.Fatal(err)
	}
	err := s.Apply(issuer.State{Active: "https://new", Trusted: []issuer.Trust{{Issuer: "https://old", Until: later}, {Issuer: "https://older", Until: before}}})
	if err != nil {
		t.Fatal(err)
	}
	w := get(s.ListingHandler(), "GET", issuer.ListingPath)
	var got issuer.Listing
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%s, %v: %v", w.Body, w.Header(), err)
	}
	want := issuer.Listing{
		Time: now,
		Issuers: []issuer.Listed{
			{Issuer: "https://new", State: issuer.Active},
			{Issuer: "https://old", State: issuer.Trusted, Until: &later},
			{Issuer: "https://older", State: issuer.Ended, Until: &before},
			{Issuer: "https://flag", State: issuer.Trusted},
			{Issuer: "https://former", State: issuer.Ended, Until: &now},
			{Issuer: "https://own", State: issuer.Ended, Until: &now},
		},
		APIAudiences: []string{"api"},
		JWKSURI:      "https://cdn/keys",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if one, ok := got.Find("https://old"); !ok || one.State != issuer.Trusted {
		t.Errorf("found %+v, %v", one, ok)
	}
	if _, ok := got.Find("https://never"); ok {
		t.Error("found an issuer that never was")
	}
	if w := get(s.ListingHandler(), "POST", issuer.ListingPath); w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}
