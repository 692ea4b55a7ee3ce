package paint

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestColoursAreForTerminals(t *testing.T) {
	if p := For(&bytes.Buffer{}); p.on || p.Good("x") != "x" {
		t.Error("a buffer is painted")
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if For(file).on || IsTerminal(io.Discard) {
		t.Error("what is no terminal is painted")
	}
	if got := (Paint{on: true}).Bad("x"); got != "\x1b[1;31mx\x1b[0m" {
		t.Errorf("painted as %q", got)
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if !For(terminal).on {
		t.Error("a terminal is not painted")
	}
	t.Setenv("NO_COLOR", "1")
	if For(terminal).on {
		t.Error("NO_COLOR is not honoured")
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if For(terminal).on {
		t.Error("a dumb terminal is painted")
	}
}
