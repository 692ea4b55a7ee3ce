// Package boundtoken makes and checks the bound service account tokens of
// Kubernetes (KEP-1205, KEP-4193): signed JWTs in compact form whose claims name
// a service account and, where bound, the pod, secret or node they live with.
//
// Checking goes in three steps, so that callers can remember the costly middle
// one: [Parse] reads a token strictly without believing it, [Parsed.VerifySignature]
// proves who signed it, and the Check methods of [Claims] compare it with the
// time and the audience at hand. [Verify] does all three. Whether the objects
// that a token names still exist is not decided here: that needs the API
// server's store.
//
// The package is strict where RFC 7515 and RFC 7519 leave room: compact form
// only, at most [MaxSize] bytes, RS256 and ES256/384/512 only, no header
// parameters besides alg, kid and typ (so a token can never bring its own key),
// no repeated names, whole seconds in dates.
//
// Tokens that are kept in Secrets, as Kubernetes made them before, have claims of
// their own ([LegacyClaims]).
//
// [Issuer] and [Subject] are names that have been read and cannot be wrong; [Claims] are
// what a token says, be it true or not.
//
// Key sets in JWK form are in the package boundtoken/jwks; boundtoken/discovery fetches
// those of issuers over TLS.
package boundtoken
