// Package review decides whether a bearer token is a service account token
// of ours that is good now, and whose. It serves the authentication of requests
// and the TokenReview API alike.
//
// A check has two halves. That a token is well-formed, from an accepted issuer
// and signed by an accepted key does not change while the keys stay the same, and
// is remembered by the token's digest. That the time is right, the audience fits
// and the service account, pod, secret or node still exist is evaluated at every
// check, against the store as it is after the check began: a check that starts
// after a delete's response refuses.
//
// Tokens are read and verified by boundtoken; the REST endpoint is
// internal/registry/authentication.
package review
