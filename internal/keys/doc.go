// Package keys owns the keys that sign service account tokens: making them,
// keeping them in the store, and telling the rest of the server which one signs
// and which are accepted.
//
// A [Ring] is the view of one server process; several servers that share a store
// agree on its keys by compare-and-swap. Where the bytes are kept, and that they
// are encrypted there, is the business of the [Backend]. Tokens themselves are
// made in boundtoken, and the key set is published by internal/issuer.
package keys
