// Package keys owns the keys that sign service account tokens: making them,
// keeping them in the store, the life that each of them leads, and telling the rest
// of the server which one signs and which are accepted.
//
// A key is Upcoming while it is published and does not sign yet, so that everybody
// who keeps a copy of the key set has it by the time it signs; then it is Signing,
// as exactly one key of a ring is; then it is Retired: accepted and published until
// the last token that it signed has ended, and then forgotten. Its private half is
// forgotten as soon as it retires. Steps are only taken forward: a clock that is moved
// back makes a key wait longer and undoes nothing.
//
// A [Ring] is the view of one server process; several servers that share a store
// agree on its keys by compare-and-swap. Where the bytes are kept, and that they
// are encrypted there, is the business of the [Backend]. Tokens themselves are
// made in boundtoken, and the key set is published by internal/tokens/issuer.
package keys
