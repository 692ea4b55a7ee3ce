package policy_test

import (
	"fmt"

	"laterna.dev/laterna/internal/aws/policy"
)

func ExampleDocument_Evaluate() {
	d, err := policy.Parse(policy.Trust, `{
	  "Version": "2012-10-17",
	  "Statement": {
	    "Effect": "Allow",
	    "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com"},
	    "Action": "sts:AssumeRoleWithWebIdentity",
	    "Condition": {"StringEquals": {
	      "oidc.example.com:sub": "system:serviceaccount:default:my-service-account",
	      "oidc.example.com:aud": "sts.amazonaws.com"
	    }}
	  }
	}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	r := policy.Request{
		Action:    "sts:AssumeRoleWithWebIdentity",
		Resource:  "arn:aws:iam::111122223333:role/my-role",
		Principal: policy.Principal{Federated: "arn:aws:iam::111122223333:oidc-provider/oidc.example.com"},
	}
	r.Context.Set("oidc.example.com:sub", "system:serviceaccount:default:another")
	r.Context.Set("oidc.example.com:aud", "sts.amazonaws.com")
	e := d.Evaluate(&r)
	fmt.Println(e.Outcome)
	for _, c := range e.Statements[0].Conditions {
		fmt.Println(c.Operator, c.Key, c.Policy, c.Request, c.Matched)
	}
	// Output:
	// implicitDeny
	// StringEquals oidc.example.com:sub [system:serviceaccount:default:my-service-account] [system:serviceaccount:default:another] false
	// StringEquals oidc.example.com:aud [sts.amazonaws.com] [sts.amazonaws.com] true
}
