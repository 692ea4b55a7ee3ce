// Command wine runs the tests of packages as Windows programs, under Wine.
//
//	go run ./test/wine ./projection
//
// It compiles the tests for windows/amd64 and runs them in a Wine of their own, in a
// temporary directory and without a display, for five minutes at most. Where there
// is no Wine it says so and succeeds: not every machine can have it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"time"
)

const limit = 5 * time.Minute

var errNoWine = errors.New("there is no `wine` on this machine (Debian's package is wine, for amd64)")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./test/wine PACKAGE…")
		os.Exit(2)
	}
	err := run(ctx, os.Args[1:])
	switch {
	case errors.Is(err, errNoWine):
		fmt.Fprintf(os.Stderr, "\n***\n*** NOT RUN: the Windows tests of %v:\n*** %v\n***\n\n", os.Args[1:], err)
	case err != nil:
		fmt.Fprintln(os.Stderr, "wine:", err)
		os.Exit(1)
	}
}

// run tests the packages one after the other, each in its own directory as go test
// does.
func run(ctx context.Context, packages []string) (err error) {
	if _, err := exec.LookPath("wine"); err != nil {
		return errNoWine
	}
	temp, err := os.MkdirTemp("", "laterna-wine-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	w, err := newWine(ctx, temp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.end()) }()
	for _, p := range packages {
		if err := w.test(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}
