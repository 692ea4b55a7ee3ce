package cli

import (
	"encoding/json"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/inspect"
)

// paint colours text on terminals; the zero value leaves it as it is.
type paint struct{ on bool }

// paintFor returns what suits an output: colours on a terminal that can show them,
// unless NO_COLOR is set (no-color.org).
func paintFor(out any) paint {
	return paint{isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// isTerminal tells whether a stream is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

func (p paint) with(code, text string) string {
	if !p.on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p paint) good(text string) string  { return p.with("32", text) }
func (p paint) bad(text string) string   { return p.with("1;31", text) }
func (p paint) faint(text string) string { return p.with("2", text) }

// printASCII prints JSON in which nothing can drive a terminal.
func printASCII(out io.Writer, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = out.Write(append(inspect.ASCII(raw), '\n'))
	return err
}
