// Package cli is the command line: one file per command, flags, and how results
// and errors are printed.
//
// It owns no behaviour of the system: running it lives in internal/app, checks of
// the machine in internal/doctor, host resources in internal/hostresources. It is
// the only package that imports cobra.
package cli
