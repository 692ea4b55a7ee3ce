// Package answers bounds what the answers to requests take: memory, for each account and
// for all of them, and the time that a client may spend reading.
//
// It owns what lists and watches are weighed by, how many watches an account may have,
// and which responses are cut. Who waits for whom at a gate is decided in
// internal/apiserver/fairshare, who is served at all in internal/apiserver/fairness; the
// bounds of what requests bring are in internal/registry/bounds.
package answers
