package cli

import "errors"

// exitError ends the program with a code of its own instead of 1.
type exitError struct {
	error
	code int
}

// Unwrap returns the error itself.
func (e exitError) Unwrap() error { return e.error }

// codeOf returns the exit code for an error that a command ended with.
func codeOf(err error) int {
	if e := (exitError{}); errors.As(err, &e) {
		return e.code
	}
	return 1
}
