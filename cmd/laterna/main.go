// Command laterna is the whole program: see `laterna --help`. What the commands do
// lives in internal/cli and internal/app.
package main

import (
	"os"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/cli"
)

// Set by the linker, see Makefile.
var version, commit, date string

func main() {
	streams := cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	os.Exit(cli.Main(os.Args[1:], streams, apiserver.Version{Program: version, Commit: commit, Date: date}))
}
