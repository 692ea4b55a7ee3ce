// Package explain keeps what STS looked at to answer its last calls, check by check, so
// that people can be told why a call was denied: AWS's own message does not say it, and
// the answer on the wire must not.
//
// It owns the records and the journal of the last ones, in memory, of which whoever calls
// has a share. What is checked is known to aws/sts and aws/sts/webidentity, what a policy
// decided to aws/policy. Records hold no token, no key and no secret.
package explain
