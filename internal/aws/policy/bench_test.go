package policy_test

import (
	"testing"

	"laterna.dev/laterna/internal/aws/policy"
)

// irsa is the trust policy that eksctl writes, and what a pod's request has.
func irsa() (string, *policy.Request) {
	const issuer = "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/` + issuer +
		`"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"` + issuer + `:sub":"system:serviceaccount:default:my-service-account","` + issuer + `:aud":"sts.amazonaws.com"}}}]}`
	r := &policy.Request{Action: "sts:AssumeRoleWithWebIdentity", Resource: "arn:aws:iam::111122223333:role/my-role",
		Principal: policy.Principal{Federated: "arn:aws:iam::111122223333:oidc-provider/" + issuer}}
	for k, v := range map[string]string{
		issuer + ":sub": "system:serviceaccount:default:my-service-account", issuer + ":aud": "sts.amazonaws.com",
		"sts:RoleSessionName": "x", "aws:FederatedProvider": r.Principal.Federated, "aws:SourceIp": "10.244.0.7", "aws:SecureTransport": "true",
		"aws:CurrentTime": "2026-11-30T22:00:00Z", "aws:EpochTime": "1796076000", "aws:RequestedRegion": "us-east-1", "aws:UserAgent": "x",
	} {
		r.Context.Set(k, v)
	}
	return text, r
}

func TestTrustOfAServiceAccountAllows(t *testing.T) {
	text, r := irsa()
	s := source(t, policy.Trust, text)
	if d := policy.Decide(r, &policy.Policies{Trust: &s}); !d.Allowed() {
		t.Errorf("%+v", d)
	}
}

func BenchmarkTrustEvaluate(b *testing.B) {
	text, r := irsa()
	d, err := policy.Parse(policy.Trust, text)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if e := d.Evaluate(r); e.Outcome != policy.Allowed {
			b.Fatal(e)
		}
	}
}

func BenchmarkTrustDecide(b *testing.B) {
	text, r := irsa()
	d, err := policy.Parse(policy.Trust, text)
	if err != nil {
		b.Fatal(err)
	}
	p := &policy.Policies{Trust: &policy.Source{Document: d}}
	b.ReportAllocs()
	for b.Loop() {
		if d := policy.Decide(r, p); !d.Allowed() {
			b.Fatal(d)
		}
	}
}

func BenchmarkTrustParse(b *testing.B) {
	text, _ := irsa()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := policy.Parse(policy.Trust, text); err != nil {
			b.Fatal(err)
		}
	}
}
