// Package paint colours what commands print on terminals. What is coloured, and why, is the
// business of those who print.
package paint

import (
	"os"

	"golang.org/x/sys/unix"
)

// Paint colours text on terminals; the zero value leaves it as it is.
type Paint struct{ on bool }

// For returns what suits an output: colours on a terminal that can show them,
// unless NO_COLOR is set (no-color.org).
func For(out any) Paint {
	return Paint{IsTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// IsTerminal tells whether a stream is a terminal.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

func (p Paint) with(code, text string) string {
	if !p.on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Good is text about what is well.
func (p Paint) Good(text string) string { return p.with("32", text) }

// Bad is text about what is not.
func (p Paint) Bad(text string) string { return p.with("1;31", text) }

// Faint is text that matters less.
func (p Paint) Faint(text string) string { return p.with("2", text) }
