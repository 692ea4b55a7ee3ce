// Package arn owns how things in AWS are named: Amazon Resource Names, account ids, the
// partition of a region, and the ARNs of roles, sessions, identity providers and managed
// policies as values that cannot be wrong.
//
// Patterns that match ARNs are internal/aws/policy's, as is what an ARN in a policy may be.
package arn
