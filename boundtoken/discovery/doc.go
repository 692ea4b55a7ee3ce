// Package discovery finds out, as relying parties do, with which keys an issuer signs: it
// fetches the discovery document (OpenID Connect Discovery 1.0) over TLS, sees whether it
// is that issuer's, and fetches the key set that it names.
//
// [Client] does so once. [Source] keeps the keys as long as the issuer allows, asks again
// for a key that it does not know, never more often than a token of an attacker may make
// it, and is a [boundtoken.Keys], so that [boundtoken.Verify] can use it.
//
// Nothing that a server sends is trusted further: requests carry no credentials and follow
// no redirection, answers have a bound in size and time, and the text of errors is fit for
// terminals. The form of key sets is boundtoken/jwks's; publishing these documents is the
// issuer's.
package discovery
