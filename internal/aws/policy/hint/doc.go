// Package hint owns what to tell a person whom a policy denies: which part of which
// statement said no, what was probably meant, and what to change. It reads the trace of
// internal/aws/policy and nothing else, and it decides nothing.
package hint
