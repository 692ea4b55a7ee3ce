// Package arch holds the import rules, size limits and comment rules of this
// module as tests. It has no code of its own.
//
// The table in levels_test.go is the map of the house: a package that is not
// listed there fails the test. What each package is for is said in its own
// comment and in ARCHITECTURE.md.
package arch
