// Package issuer owns the names under which tokens are issued: which issuer
// signs, which are accepted, which audiences the API server answers to, and the
// two documents by which others verify our tokens (OpenID Connect discovery and
// the key set).
//
// Keys come from internal/tokens/keys, tokens are made by boundtoken, and presented
// tokens are checked in internal/tokens/review.
package issuer
