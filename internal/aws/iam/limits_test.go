package iam_test

import (
	"errors"
	"testing"

	"laterna.dev/laterna/internal/aws/iam"
)

func TestIssuersOfURLs(t *testing.T) {
	for raw, want := range map[string]string{
		"https://a.example":              "a.example",
		"https://A.example/Id/":          "A.example/Id/",
		"https://a.example:443":          "a.example",
		"https://a.example:443/id":       "a.example/id",
		"https://127.0.0.1:6443":         "127.0.0.1:6443",
		"https://a.example/x:443":        "a.example/x:443",
		"https://kubernetes.default.svc": "kubernetes.default.svc",
	} {
		if got, err := iam.Issuer(raw); err != nil || got != want {
			t.Errorf("%s: %q, %v", raw, got, err)
		}
	}
	for raw, want := range map[string]error{
		"a.example":             iam.ErrURLScheme,
		"http://a.example":      iam.ErrURLScheme,
		"HTTPS://a.example":     iam.ErrURLScheme,
		"https://":              iam.ErrURLHost,
		"https:///x":            iam.ErrURLHost,
		"https://a b":           iam.ErrURLHost,
		"https://a.example?x=1": iam.ErrURLParts,
		"https://a.example#x":   iam.ErrURLParts,
		"https://u@a.example":   iam.ErrURLParts,
	} {
		if got, err := iam.Issuer(raw); !errors.Is(err, want) {
			t.Errorf("%s: %q, %v, want %v", raw, got, err, want)
		}
	}
}

func TestRolesThatAreGoneAreShownAsIDs(t *testing.T) {
	a, b := "arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/ab"
	r := iam.Role{TrustPolicy: `{"AWS": ["` + a + `", "` + b + `"]}`, Principals: map[string]string{a: "AROAA", b: "AROAB"}}
	got := r.Shown(func(arn string) string {
		if arn == b {
			return "AROAB"
		}
		return "AROAOTHER"
	})
	if want := `{"AWS": ["AROAA", "` + b + `"]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
