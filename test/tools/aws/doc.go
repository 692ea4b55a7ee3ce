// Package aws has clients of IAM and STS in three languages, which do what they are told on
// their standard input, a line each, with the credentials of the SDK's default chain:
//
//	whoami       sts:GetCallerIdentity
//	role NAME    iam:GetRole
//	roles        iam:ListRoles
//
// and answer a line each: the ARN, the names, or "error CODE: message"; behind whoami comes
// the id of the access key. One process answers many lines, so that it is seen what an SDK
// does when its credentials end. The tests are in test/compat; they start role (Go), role.mjs
// and role.py on the machine and in pods.
package aws
