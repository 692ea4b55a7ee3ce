// Package query is the AWS Query protocol, which STS and IAM share: a form in, XML out.
//
// A [Service] is a version, a namespace and a table of actions; a [Handler] finds the
// service and the action of a request, has it authenticated, gives it an id and writes
// the answer. An action reads its parameters from [Params], which gathers every violated
// constraint into the one ValidationError that AWS answers, and refuses with an [Error],
// a value of code, message and status.
//
// It owns the shape on the wire, not what any action means: aws/sts and aws/iam do. The
// signature of a request is aws/sigv4's to verify.
package query
