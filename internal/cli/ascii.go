package cli

import (
	"encoding/json"
	"io"

	"laterna.dev/laterna/internal/inspect"
)

// printASCII prints JSON in which nothing can drive a terminal.
func printASCII(out io.Writer, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = out.Write(append(inspect.ASCII(raw), '\n'))
	return err
}
