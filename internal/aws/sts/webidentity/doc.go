// Package webidentity checks the tokens of AssumeRoleWithWebIdentity as AWS does: form and
// required claims, provider, times, audience, key and signature, and what the token says of
// roles, tags and source identity. Each fault has AWS's code and text, and each check is
// noted for aws/sts/explain.
//
// It owns those rules, which differ from boundtoken's (which keys count, which algorithms,
// 300 s of allowance), and the keys of issuers, which it learns from their public discovery
// documents alone, over TLS. Whether a role trusts the token is aws/policy's to say.
package webidentity
