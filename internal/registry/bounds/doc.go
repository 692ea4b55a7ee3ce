// Package bounds says how many elements a request may bring and how many mistakes an
// answer lists, so that what a request costs grows with its size and no faster.
//
// A few bytes of a document become a whole struct when they are decoded, and an error
// with path and text when they are validated. So lists are counted while they are
// still bytes, whatever kind they turn out to be of, and mistakes are listed up to a
// number. Maps have no bound of their own: an entry is not much larger than its text,
// and a ConfigMap may well have a hundred thousand of them.
//
// How large a body may be is the business of internal/apiserver; what a kind allows
// beyond these bounds is that of its package in internal/registry.
package bounds
