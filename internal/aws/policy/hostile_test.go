package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/internal/aws/policy"
)

// soon fails if f takes longer than even a busy machine needs.
func soon(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it takes forever")
	}
}

func TestHostilePatternsTakeNoTime(t *testing.T) {
	stars := strings.Repeat("a*", 3000)
	value := strings.Repeat("a", 6000) + "b"
	for _, c := range []struct{ operator, pattern, value string }{
		{"StringLike", stars, value},
		{"StringLike", "*" + strings.Repeat("a", 3000) + "c", value},
		{"StringLike", strings.Repeat("*", 60000) + "c", value},
		{"StringLike", strings.Repeat("*?", 3000) + "c", value},
		{"StringLike", stars, strings.Repeat("é", 6000)},
		{"ArnLike", "arn:" + stars + ":::" + stars + ":" + stars, "arn:" + value + ":::" + value + ":" + value},
		{"NumericEquals", "1e2147483647", "1e2147483647"},
		{"NumericEquals", strings.Repeat("9", 60000), strings.Repeat("9", 60000)},
		{"StringEqualsIgnoreCase", strings.Repeat("Σ", 3000), strings.Repeat("\u0301", 6000) + "Σ"},
		{"StringEquals", strings.Repeat("${k}", 15000), value},
		{"StringLike", strings.Repeat("${", 30000), value},
		{"DateEquals", strings.Repeat("9", 60000), "9"},
		{"IpAddress", strings.Repeat(":", 60000), strings.Repeat(":", 60000)},
	} {
		soon(t, func() {
			d, err := policy.Parse(policy.Session, fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{%q:{"k":%q}}}}`, c.operator, c.pattern))
			if err != nil {
				return
			}
			r := policy.Request{Action: "s3:GetObject", Resource: "*"}
			r.Context.Set("k", c.value)
			d.Evaluate(&r)
		})
	}
}

func TestLargestDocumentTakesNoTime(t *testing.T) {
	one := `{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::*a*b*c*d*e*f","Condition":{"StringLike":{"k":"*a*b*c*d*e*f"}}},`
	text := `{"Version":"2012-10-17","Statement":[` + strings.TrimSuffix(strings.Repeat(one, 131000/len(one)), ",") + `]}`
	soon(t, func() {
		d, err := policy.Parse(policy.Identity, text)
		if err != nil {
			t.Error(err)
			return
		}
		r := policy.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::" + strings.Repeat("abcde", 400)}
		r.Context.Set("k", strings.Repeat("abcde", 400))
		d.Evaluate(&r)
	})
}

func FuzzPolicy(f *testing.F) {
	for _, text := range []string{
		trusting(`{"AWS":["*","111122223333"],"Federated":"accounts.google.com"}`, `,"Condition":{"StringLike":{"k":["a*${k}","${x, 'y'}"]}}`),
		doing(`"Effect":"Allow","Action":["s3:*"],"NotResource":"arn:aws:s3:::${k}/*","Condition":{"ForAllValues:ArnLike":{"k":"arn:*:*:*:*:*"},"NumericLessThan":{"k":1e5}}`),
		doing(`"Effect":"Deny","NotAction":"*","Resource":"*","Condition":{"DateEquals":{"k":"2030-01-01T00:00:00Z"},"IpAddress":{"k":"10.0.0.0/8"},"Null":{"k":true},"BinaryEquals":{"k":"YQ=="}}`),
	} {
		f.Add(text, "a", "arn:aws:s3:::b")
	}
	f.Fuzz(func(t *testing.T, text, value, resource string) {
		for _, kind := range []policy.Kind{policy.Trust, policy.Identity, policy.Session} {
			d, err := policy.Parse(kind, text)
			if err != nil {
				continue
			}
			_ = policy.Check(kind, text)
			r := policy.Request{Action: "s3:GetObject", Resource: resource, Principal: policy.Principal{ARN: value, ID: value, Account: "111122223333"}}
			r.Context.Set("k", value)
			r.Context.SetAll("x", []string{value, resource})
			e := d.Evaluate(&r)
			if len(e.Statements) == 0 || e.Outcome == "" {
				t.Errorf("%s: no trace: %+v", text, e)
			}
			p := policy.Policies{Identity: []policy.Source{{Document: d}}}
			if kind == policy.Trust {
				p = policy.Policies{Trust: &policy.Source{Document: d}}
			}
			if got := policy.Decide(&r, &p); got.Allowed() && e.Outcome != policy.Allowed {
				t.Errorf("%s: %s, decided to %s", text, e.Outcome, got.Outcome)
			}
		}
	})
}
