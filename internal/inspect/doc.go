// Package inspect looks at a service account token from outside: what it says, how much
// of its life is over, and whether a recipient should take it, each check with its
// reason.
//
// It owns the report and the way to a running system's API; the public documents of an
// issuer elsewhere are fetched by boundtoken/discovery. A token is sent to nobody but the system that accepts
// its issuer, and there only in a TokenReview. How a report is printed is
// internal/cli's; the rules of tokens are boundtoken's; whether what a token is bound to
// still exists is decided by internal/tokens/review in the server.
//
// Nothing that a token says is trusted: what is for people goes through internal/plain.
package inspect
