// Package compat holds the acceptance tests: each row of the catalogue as a test of
// its name, run by stock kubectl and client-go against the real binary, with real
// containers. The behaviours that upstream's conformance tests check are tried in
// conformance_*_test.go; COVERAGE.md lists them.
//
// The harness (system_test.go) starts one system that most tests share; tests that
// stop, kill or configure a system start their own.
package compat
