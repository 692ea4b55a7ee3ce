// Package caller says who signed a request to the AWS APIs: a value that the verification
// of the signature makes and that STS and IAM decide by.
//
// It owns those types alone. How a signature is verified is aws/sigv4's, where keys and
// sessions come from is aws/iam's and aws/sts/session's, and what a caller may do is
// decided by aws/policy.
package caller

import "time"

// Caller is who signed a request.
type Caller struct {
	// AccessKeyID is that of the key that signed.
	AccessKeyID string
	// Account is the caller's, twelve digits.
	Account string
	// ARN names the caller: a user, an account's root, or a session of a role.
	ARN string
	// UserID is the unique id: AIDA…, the account of its root, or AROA…:<session>.
	UserID string
	// Administrator may do everything in its account; no policy is asked.
	Administrator bool
	// Session is set where the key is a temporary one.
	Session *Session
}

// Session is what a session of a role was begun with. It does not change.
type Session struct {
	// RoleARN names the role, with its path; RoleID is its unique id: a session ends to be
	// usable when the role of its name is another.
	RoleARN, RoleID string
	// Name is the session's.
	Name string
	// Policy is the session policy that was handed over, as text; empty is none.
	Policy string
	// PolicyARNs are managed policies that limit the session besides.
	PolicyARNs []string
	// Tags are the session's, by key; Transitive are the keys that pass on to the next role.
	Tags       map[string]string
	Transitive []string
	// SourceIdentity passes on to the next role, too; empty is none.
	SourceIdentity string
	// FederatedProvider is the ARN of the provider that vouched; empty for AssumeRole.
	FederatedProvider string
	// Claims are condition keys from the token, such as "issuer.example:sub".
	Claims map[string][]string
	// Issued and Expires are on the clock of credentials, which a test may move.
	Issued, Expires time.Time
}
