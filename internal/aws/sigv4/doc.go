// Package sigv4 verifies AWS Signature Version 4 of requests to STS and IAM, in the header
// and in the query string.
//
// It owns the reading of signatures, the canonical form and the comparison, and refuses in
// AWS's own words. Whose a key is, and whether a session is over, it asks [Keys]. The time
// of a signature is real time, whatever a test does to the clock of tokens: signers use
// their own clocks. What a caller may do is not decided here.
package sigv4
