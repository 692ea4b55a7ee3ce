package sts

import (
	"context"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/query"
)

type callerIdentityResult struct {
	ARN     string `xml:"Arn"`
	UserID  string `xml:"UserId"`
	Account string `xml:"Account"`
}

// getCallerIdentity needs a signature and no permission: no policy is asked.
func (s *STS) getCallerIdentity(_ context.Context, call *query.Call) (any, error) {
	return callerIdentityResult{call.Caller.ARN, call.Caller.UserID, call.Caller.Account}, nil
}

type accessKeyInfoResult struct {
	Account string `xml:"Account"`
}

// getAccessKeyInfo tells the account that a key's id holds, whether the key exists or not.
func (s *STS) getAccessKeyInfo(_ context.Context, call *query.Call) (any, error) {
	p := call.Params()
	id := p.Text("AccessKeyId", query.Text{Required: true, Min: 16, Max: 128, Pattern: keyID})
	if err := p.Err(); err != nil {
		return nil, err
	}
	account := iam.AccountOfKey(id)
	if account == "" {
		return nil, query.Invalid("Invalid Access Key ID")
	}
	return accessKeyInfoResult{account}, nil
}
