// Package iam is what AWS's Identity and Access Management knows, as far as roles for
// service accounts need it: roles, OpenID Connect providers, managed policies and
// long-term access keys of accounts, as values, and the interfaces by which they are
// looked up and written.
//
// It owns the values, what they are named (ARNs, unique ids, names in the store) and
// what a Directory promises. Objects in memory are in iam/memory, the objects of the
// cluster (kinds of iam.laterna.dev) in internal/registry/iam, the IAM Query API in
// iam/queryapi. What a policy says is internal/aws/policy's to know: here it is a text.
package iam
