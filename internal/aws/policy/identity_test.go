package policy_test

import (
	"fmt"
	"testing"

	"laterna.dev/laterna/internal/aws/policy"
)

// doing returns an identity policy of one statement with these members.
func doing(members string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{%s}}`, members)
}

// Most rows were compared with AWS by moto's authors.
func TestIdentityPolicyIsRefusedInTheWordsOfIAM(t *testing.T) {
	const syntax, version, legacy = "Syntax errors in policy.", "Policy document must be version 2012-10-17 or greater.", "The policy failed legacy parsing"
	const vendor, colons = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.", "Actions/Condition can contain only one colon."
	const noActions, noResources = "Policy statement must contain actions.", "Policy statement must contain resources."
	good := `"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b"`
	resource := func(r string) string { return doing(`"Effect":"Allow","Action":"s3:ListBucket","Resource":` + r) }
	condition := func(c string) string { return doing(good + `,"Condition":` + c) }
	for _, c := range []struct{ text, want string }{
		{"This is not a json document", syntax},
		{`{"Version":"2013-10-17","Statement":{` + good + `}}`, syntax},
		{`{"Version":"2012-10-17"}`, syntax},
		{`{"Version":"2012-10-17","Statement":[]}`, syntax},
		{`{"Version":"2012-10-17","Statement":["afd"]}`, syntax},
		{`{"Version":"2012-10-17","Statement":{` + good + `},"Extra field":"value"}`, syntax},
		{`{"Version":"2012-10-17","Id":{},"Statement":{` + good + `}}`, syntax},
		{doing(good + `,"Extra field":"value"`), syntax},
		{doing(`"Effect":"invalid","Action":"s3:ListBucket","Resource":"*"`), syntax},
		{doing(`"Action":"s3:ListBucket","Resource":"*"`), syntax},
		{doing(`"Effect":"Allow","Effect":"Deny","Action":"s3:ListBucket","Resource":"*"`), syntax},
		{doing(good + `,"NotResource":[]`), syntax},
		{doing(good + `,"NotAction":"s3:x"`), syntax},
		{doing(`"Effect":"Deny","Action":[[]],"Resource":"*"`), syntax},
		{doing(`"Effect":"Deny","Action":{},"Resource":"*"`), syntax},
		{doing(good + `,"Sid":[]`), syntax},
		{resource(`{"a":"b"}`), syntax},
		{resource(`["adfdf",{}]`), syntax},
		{condition(`[]`), syntax},
		{condition(`"a"`), syntax},
		{condition(`{"a":"b"}`), syntax},
		{condition(`{"x":{"a":"1"}}`), syntax},
		{condition(`{"DateGreaterThan":[]}`), syntax},
		{condition(`{"DateGreaterThan":{"a":{}}}`), syntax},
		{condition(`{"ForAnyValue::StringEqualsIfExists":{"a":"asf"}}`), syntax},
		{condition(`{"NullIfExists":{"a":"true"}}`), syntax},
		{condition(`{"ForAnyValue:Null":{"a":"true"}}`), syntax},

		{`{"Statement":{` + good + `}}`, version},
		{`{"Version":"2008-10-17","Statement":{` + good + `}}`, version},
		{`{"Statement":{"Effect":"denY","Action":"s3:x","Resource":"*"}}`, version},
		{doing(good + `,"Principal":"*"`), "Policy document should not specify a principal."},

		{doing(`"Effect":"denY","Action":"s3:ListBucket","Resource":"*"`), legacy},
		{condition(`{"DateGreaterThan":{"a":"sdfdsf"}}`), legacy},
		{condition(`{"DateLessThanEquals":{"a":"234-13"}}`), legacy},
		{condition(`{"DateLessThanEquals":{"a":"2016-12-13t2:00:00.593194+1"}}`), legacy},
		{condition(`{"DateLessThanEquals":{"a":"2016-12-13t2:00:00.1999999999+10:59"}}`), legacy},
		{condition(`{"DateLessThan":{"a":"9223372036854775808"}}`), legacy},
		{condition(`{"NumericEquals":{"a":"NaN"}}`), legacy},
		{condition(`{"ArnLike":{"a":"not-an-arn"}}`), legacy},
		{condition(`{"IpAddress":{"a":"not-an-ip"}}`), legacy},
		{condition(`{"IpAddress":{"a":"2001:db8::5/64"}}`), legacy},
		{condition(`{"BinaryEquals":{"a":"no-binary"}}`), legacy},
		{condition(`{"StringEquals":{"a":"${x"}}`), legacy},
		{doing(`"Effect":"Allow","Condition":{"DateGreaterThan":{"a":"sdfdsf"}}`), legacy},
		{doing(`"Effect":"Allow","Action":"s3:x","Resource":"arn:error:s3:::b","Condition":{"DateGreaterThan":{"a":"sdfdsf"}}`), legacy},
		{resource(`"arn:aws:s3::b"`), legacy},
		{resource(`"arn:aws::::b"`), legacy},
		{resource(`"arn:aws::fdsasf"`), legacy},
		{resource(`"arn:aws:s3:::b/${aws:username"`), legacy},
		{doing(`"Effect":"Allow","Resource":"arn:aws:s3::b"`), legacy},
		{doing(`"Effect":"allow","Resource":"arn:aws:s3:us-east-1::b"`), legacy},

		{`{"Version":"2012-10-17","Statement":[{"Sid":"sdf",` + good + `},{"Sid":"sdf","Effect":"Allow"}]}`, "Statement IDs (SID) in a single policy must be unique."},
		{doing(good + `,"Sid":"a-b"`), "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"},
		{doing(`"Effect":"Allow"`), noActions},
		{doing(`"Effect":"Allow","Action":[],"Resource":"arn:aws:s3:::b"`), noActions},
		{`{"Version":"2012-10-17","Statement":[{"Effect":"Deny"},{` + good + `}]}`, noActions},
		{doing(`"Effect":"Allow","Action":"s3:ListBucket"`), noResources},
		{resource(`[]`), noResources},

		{resource(`"invalid resource"`), `Resource invalid resource must be in ARN format or "*".`},
		{resource(`""`), `Resource  must be in ARN format or "*".`},
		{doing(`"Effect":"Allow","Action":"s:3:ListBucket","Resource":"sdfsadf"`), `Resource sdfsadf must be in ARN format or "*".`},
		{resource(`"a:bsdfdsafsad"`), `Partition "bsdfdsafsad" is not valid for resource "arn:bsdfdsafsad:*:*:*:*".`},
		{resource(`"a:b:cadfsdf"`), `Partition "b" is not valid for resource "arn:b:cadfsdf:*:*:*".`},
		{resource(`"a:b:c:d:e:f:g:h"`), `Partition "b" is not valid for resource "arn:b:c:d:e:f:g:h".`},
		{resource(`"aws:s3:::b"`), `Partition "s3" is not valid for resource "arn:s3:::b:*".`},
		{resource(`["arn:error:s3:::b","arn:error:s3::b"]`), `Partition "error" is not valid for resource "arn:error:s3:::b".`},
		{resource(`"arn:aws"`), "Resource vendor must be fully qualified and cannot contain regexes."},
		{resource(`"arn:aws:*:::x"`), "Resource vendor must be fully qualified and cannot contain regexes."},
		{resource(`"arn:aws:iam:us-east-1::b"`), "IAM resource arn:aws:iam:us-east-1::b cannot contain region information."},
		{resource(`"arn:aws:s3:us-east-1::b"`), "Resource arn:aws:s3:us-east-1::b can not contain region information."},
		{resource(`"arn:aws:iam:::b"`), `IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.`},

		{doing(`"Effect":"Allow","Action":"invalid","Resource":"arn:aws:s3:::b"`), vendor},
		{doing(`"Effect":"Allow","NotAction":"","Resource":"arn:aws:s3:::b"`), vendor},
		{doing(`"Effect":"Allow","Action":"a a:ListBucket","Resource":"*"`), "Vendor a a is not valid"},
		{doing(`"Effect":"Allow","Action":":x","Resource":"*"`), "Vendor  is not valid"},
		{doing(`"Effect":"Allow","Action":"s3:List:Bucket","Resource":"*"`), colons},
	} {
		if got := refused(t, policy.Identity, c.text); got != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

func TestIdentityPoliciesThatIAMTakes(t *testing.T) {
	good := `"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b"`
	for _, text := range []string{
		doing(good), doing(good + `,"Sid":"abc1","Condition":{}`),
		`{"Version":"2012-10-17","Id":"x","Statement":[{` + good + `},{` + good + `,"Sid":""}]}`,
		doing(`"Effect":"Allow","Action":"iam: asdf safdsf af ","Resource":["arn:aws:s3:::b","*"]`),
		doing(`"Effect":"Deny","NotAction":["s3:*","*"],"NotResource":"arn:aws:fdsasf"`),
		doing(`"Effect":"Allow","Action":"s3.s-x:List","Resource":"arn:aws-cn:s3:::b"`),
		doing(`"Effect":"Allow","Action":"iam:*","Resource":["arn:aws:iam::*:user/${aws:username}","arn:aws:iam::111122223333:*","arn:aws:iam::${aws:PrincipalAccount}:role/x","arn:*:iam::*:ro*"]`),
		doing(good + `,"Condition":{"a":{},"DateGreaterThan":{},"DateLessThan":{"a":[]}}`),
		doing(good + `,"Condition":{"DateGreaterThan":{"a":["01T","2016-12-13t2:00:00.593194+23","-292275054","2019-07-01T13:20:15Z","2016-12-13T21:20:37.593194+00:00"]}}`),
		doing(good + `,"Condition":{"ForAnyValue:StringEqualsIfExists":{"a":"asf"},"NumericEquals":{"b":["01",1,1.5e3]},"Bool":{"c":"yes","d":true},"Null":{"e":"yes"}}`),
		doing(good + `,"Condition":{"IpAddress":{"a":["010.0.0.1/024","10.0.0.1/8","2001:db8::/32","::1"]},"ArnEquals":{"b":["*","arn:aws:iam::*:role/*","${aws:PrincipalArn}"]}}`),
	} {
		if got := refused(t, policy.Identity, text); got != "" {
			t.Errorf("%s\nis refused: %s", text, got)
		}
	}
}

func TestSessionPolicyMayHoldWhatCannotBeCompared(t *testing.T) {
	good := `{"Statement":{"Effect":"Allow","Action":"s3:x","Resource":"*","Condition":%s}}`
	for condition, want := range map[string]string{
		`{"NumericEquals":{"a":"NaN"},"DateEquals":{"a":"x"},"IpAddress":{"a":"x"},"ArnLike":{"a":"x"}}`: "",
		`{"BinaryEquals":{"a":"no-binary"}}`: "The policy failed legacy parsing",
		`{"x":{"a":"b"}}`:                    "Syntax errors in policy.",
	} {
		if got := refused(t, policy.Session, fmt.Sprintf(good, condition)); got != want {
			t.Errorf("%s: %q, want %q", condition, got, want)
		}
	}
	if got := refused(t, policy.Session, `{`); got != "The policy is not in the valid JSON format." {
		t.Errorf("no JSON is refused with %q", got)
	}
}
