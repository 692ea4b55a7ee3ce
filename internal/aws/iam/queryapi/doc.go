// Package queryapi is the IAM Query API, which `aws iam` and the SDKs speak: OpenID Connect
// providers, roles with their policies, and managed policies. Other operations of IAM are
// answered with InvalidAction.
//
// It owns what each operation takes, checks and answers, word by word as AWS does. The
// protocol is aws/query's, signatures are aws/sigv4's, the objects are an iam.Store's. All
// that a call touches belongs to its caller's account, and the caller's policies must allow
// it; an account's administrator may do everything.
package queryapi
