// Package policy owns the language of AWS's policies: which documents are well formed, in
// AWS's own words where they are not, and what they decide. Trust policies of roles,
// identity policies (inline, managed and boundaries) and session policies are told apart.
//
// A decision carries its trace as a plain value: each statement, each of its parts, what
// the policy says beside what the request holds. What to change is internal/aws/policy/hint's
// to say, which reads nothing but the trace.
//
// The package is pure. Which documents apply, which keys a request has, and whether a
// principal exists is its callers' to know; they keep the stored text byte for byte.
package policy
