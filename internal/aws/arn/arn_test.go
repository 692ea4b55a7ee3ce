package arn_test

import (
	"strings"
	"testing"

	"laterna.dev/laterna/internal/aws/arn"
)

func TestNamesAreTakenApartAndPrintedAgain(t *testing.T) {
	for _, s := range []string{
		"arn:aws:iam::111122223333:root",
		"arn:aws:iam::111122223333:role/my-role",
		"arn:aws-cn:iam::111122223333:role/team/x/my-role",
		"arn:aws:sts::111122223333:assumed-role/my-role/session",
		"arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/ABC/",
		"arn:aws:iam::aws:policy/service-role/Some_Policy",
		"arn:aws:lambda:us-east-1:111122223333:function:f:live",
		"arn:aws:s3:::bucket/key",
	} {
		a, err := arn.Parse(s)
		if err != nil {
			t.Errorf("Parse(%q): %v", s, err)
		} else if a.String() != s {
			t.Errorf("Parse(%q) prints %q", s, a)
		}
	}
}

func TestWhatIsNoARNIsRefused(t *testing.T) {
	for _, s := range []string{
		"", "arn", "arn:aws:iam", "arn:aws:iam::111122223333", "ARN:aws:iam::111122223333:root",
		"arn:aws:iam::11112222333:root", "arn:aws:iam::1111222233334:root", "arn:aws:iam::11112222333a:root",
		"arn:amazon:iam::111122223333:root", "arn::iam::111122223333:root", "arn:aws::::x",
		"arn:aws:iam::111122223333:", "arn:aws:s3:US-EAST-1::x", "arn:aws-:*:::x",
		"arn:aws:s3:::" + strings.Repeat("x", 2048),
	} {
		if a, err := arn.Parse(s); err == nil {
			t.Errorf("Parse(%q) is %+v, want an error", s, a)
		}
	}
}

func TestRole(t *testing.T) {
	for s, want := range map[string]arn.Role{
		"arn:aws:iam::111122223333:role/my-role":     {Owner: arn.Owner{Partition: "aws", Account: "111122223333"}, Path: "/", Name: "my-role"},
		"arn:aws-cn:iam::111122223333:role/a/b/c@d,": {Owner: arn.Owner{Partition: "aws-cn", Account: "111122223333"}, Path: "/a/b/", Name: "c@d,"},
	} {
		got, err := arn.ParseRole(s)
		if err != nil || got != want {
			t.Errorf("ParseRole(%q) = %+v, %v, want %+v", s, got, err, want)
		}
		if got.String() != s {
			t.Errorf("%q is printed %q", s, got)
		}
	}
	for _, s := range []string{
		"arn:aws:iam::111122223333:role/", "arn:aws:iam::111122223333:role/a/", "arn:aws:iam::111122223333:user/a",
		"arn:aws:iam::aws:role/a", "arn:aws:iam:us-east-1:111122223333:role/a", "arn:aws:sts::111122223333:role/a",
		"arn:aws:iam::111122223333:role/a b", "arn:aws:iam::111122223333:role/a b/c", "arn:aws:iam::111122223333:role/ä",
		"arn:aws:iam::111122223333:role/" + strings.Repeat("x", 65), "arn:aws:iam::111122223333:role/*",
	} {
		if got, err := arn.ParseRole(s); err == nil {
			t.Errorf("ParseRole(%q) is %+v, want an error", s, got)
		}
	}
}

func TestSessionOfARoleLeavesItsPathOut(t *testing.T) {
	r, err := arn.ParseRole("arn:aws:iam::111122223333:role/a/b/my-role")
	if err != nil {
		t.Fatal(err)
	}
	s := r.Session("me@example.com")
	if want := "arn:aws:sts::111122223333:assumed-role/my-role/me@example.com"; s != want {
		t.Fatalf("session is %s, want %s", s, want)
	}
	got, err := arn.ParseSession(s)
	if err != nil || got.Role != "my-role" || got.Name != "me@example.com" || got.Account != "111122223333" {
		t.Fatalf("ParseSession: %+v, %v", got, err)
	}
	for _, s := range []string{"arn:aws:sts::111122223333:assumed-role/r", "arn:aws:sts::111122223333:assumed-role/r/", "arn:aws:iam::111122223333:assumed-role/r/s", "arn:aws:sts::111122223333:assumed-role/r/s/t"} {
		if got, err := arn.ParseSession(s); err == nil {
			t.Errorf("ParseSession(%q) is %+v, want an error", s, got)
		}
	}
}

func TestProviderKeepsCaseAndTrailingSlash(t *testing.T) {
	for _, issuer := range []string{"oidc.example.com", "OIDC.example.com/a/", "oidc.example.com:8443/id"} {
		p := arn.Provider{Owner: arn.Owner{Account: "111122223333"}, Issuer: issuer}
		got, err := arn.ParseProvider(p.String())
		if err != nil || got.Issuer != issuer || got.Partition != "aws" {
			t.Errorf("%s: %+v, %v", p, got, err)
		}
	}
	if _, err := arn.ParseProvider("arn:aws:iam::111122223333:oidc-provider/"); err == nil {
		t.Error("a provider without an issuer is taken")
	}
}

func TestPolicy(t *testing.T) {
	p, err := arn.ParsePolicy("arn:aws:iam::aws:policy/job-function/Billing")
	if err != nil || p.Account != "aws" || p.Path != "/job-function/" || p.Name != "Billing" || p.String() != "arn:aws:iam::aws:policy/job-function/Billing" {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := arn.ParsePolicy("arn:aws:iam::111122223333:role/x"); err == nil {
		t.Error("a role is taken for a policy")
	}
}

func TestPartitionOfARegion(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1": "aws", "eu-central-1": "aws", "": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov",
		"us-iso-east-1": "aws-iso", "us-isob-east-1": "aws-iso-b", "eusc-de-east-1": "aws-eusc", "us-isof-south-1": "aws-iso-f",
	} {
		if got := arn.PartitionOf(region); got != want {
			t.Errorf("PartitionOf(%q) = %s, want %s", region, got, want)
		}
	}
}

func TestHostsOfSTS(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1": "sts.us-east-1.amazonaws.com", "ap-southeast-2": "sts.ap-southeast-2.amazonaws.com", "us-gov-west-1": "sts.us-gov-west-1.amazonaws.com",
		"cn-north-1": "sts.cn-north-1.amazonaws.com.cn", "": "", "aws-global": "", "us-iso-east-1": "", "eusc-de-east-1": "", "Frankfurt": "", "eu-central-1.evil": "",
	} {
		host, ok := arn.STSHost(region)
		if host != want || ok != (want != "") {
			t.Errorf("STSHost(%q) = %q, %v, want %q", region, host, ok, want)
		}
		if ok && !arn.IsSTSHost(host) {
			t.Errorf("%s is not a host of STS", host)
		}
	}
	for _, host := range []string{"", "sts.", "amazonaws.com", "sts.amazonaws.com.cn", "sts.x.amazonaws.com", "sts.cn-north-1.amazonaws.com", "sts.us-east-1.amazonaws.com.evil", "s3.us-east-1.amazonaws.com"} {
		if arn.IsSTSHost(host) {
			t.Errorf("%q is a host of STS", host)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:iam::111122223333:role/a/b")
	f.Add("arn:aws:iam::111122223333:oidc-provider/x")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := arn.Parse(s)
		if err == nil && a.String() != s {
			t.Errorf("%q is printed %q", s, a)
		}
		if r, err := arn.ParseRole(s); err == nil && r.String() != s {
			t.Errorf("role %q is printed %q", s, r)
		}
		if p, err := arn.ParseProvider(s); err == nil && p.String() != s {
			t.Errorf("provider %q is printed %q", s, p)
		}
		if p, err := arn.ParsePolicy(s); err == nil && p.String() != s {
			t.Errorf("policy %q is printed %q", s, p)
		}
	})
}
