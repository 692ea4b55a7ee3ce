package iam_test

import (
	"strings"
	"testing"

	"laterna.dev/laterna/internal/aws/iam"
)

func TestKeysHoldTheirAccount(t *testing.T) {
	// Published example of the layout.
	if got := iam.AccountOfKey("ASIAQNZGKIQY56JQ7WML"); got != "029608264753" {
		t.Errorf("account %q", got)
	}
	for _, account := range []string{"000000000000", "111122223333", "999999999999"} {
		id := iam.NewKeyID(iam.LongTermPrefix, account)
		if len(id) != 20 || !strings.HasPrefix(id, "AKIA") || iam.AccountOfKey(id) != account {
			t.Errorf("%s: key %s of account %q", account, id, iam.AccountOfKey(id))
		}
	}
	if id := iam.NewID(iam.RolePrefix); len(id) != 21 || !strings.HasPrefix(id, "AROA") {
		t.Errorf("id %s", id)
	}
}

func TestNamesOfARNs(t *testing.T) {
	for arn, want := range map[string]iam.Name{
		"arn:aws:iam::111122223333:role/x":                               {"aws", "111122223333", "role", "/", "x"},
		"arn:aws-cn:iam::111122223333:role/a/b/x":                        {"aws-cn", "111122223333", "role", "/a/b/", "x"},
		"arn:aws:iam::aws:policy/job-function/y":                         {"aws", "aws", "policy", "/job-function/", "y"},
		"arn:aws:iam::111122223333:oidc-provider/i.example/id/A/":        {"aws", "111122223333", "oidc-provider", "/", "i.example/id/A/"},
		"arn:aws:iam::111122223333:oidc-provider/i.example:8443/id:with": {"aws", "111122223333", "oidc-provider", "/", "i.example:8443/id:with"},
	} {
		got, err := iam.ParseName(arn)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", arn, got, err)
		}
		if got.String() != arn {
			t.Errorf("%s became %s", arn, got)
		}
	}
	for _, bad := range []string{"", "x", "arn:aws:iam::111122223333:role", "arn:aws:iam::111122223333:role/", "arn:aws:iam::1:role/a/",
		"arn:aws:sts::111122223333:role/x", "arn:Mars:iam::111122223333:role/x", "arn:aws:iam:us-east-1:111122223333:role/x"} {
		if n, err := iam.ParseName(bad); err == nil {
			t.Errorf("%q is %+v", bad, n)
		}
	}
}

func TestProviderKeysAreOneSegment(t *testing.T) {
	for _, url := range []string{"a.example", "a.example/", "a.example/x~1y", "a.example/%2F/~2", "A.example:8443/id"} {
		key := iam.ProviderKey("111122223333", url)
		account, rest, ok := iam.SplitKey(key)
		if !ok || account != "111122223333" || iam.IssuerOf(rest) != url || strings.ContainsAny(key, "/%") {
			t.Errorf("%s: key %s, back %s", url, key, iam.IssuerOf(rest))
		}
	}
}
