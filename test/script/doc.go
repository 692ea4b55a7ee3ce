// Package script tests the command line as text: the scripts under testdata run the
// real program the way a person types it and compare what it prints.
//
// It owns help texts, errors, exit codes and the small commands. What a system does
// once it runs is tested in test/compat. The scripts are rewritten from what the
// program prints with `go test ./test/script -update`.
package script
