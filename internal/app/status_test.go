package app

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSizeCountsAFileWithSeveralNamesOnce(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	one := size(dir)
	for _, name := range []string{"b", "c"} {
		if err := os.Link(file, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := size(dir); one < 1<<20 || got != one {
		t.Errorf("one name %d bytes, three names %d", one, got)
	}
	if got := size(filepath.Join(dir, "missing")); got != 0 {
		t.Errorf("a missing directory takes %d bytes", got)
	}
}

func TestStatusOfAStoppedSystem(t *testing.T) {
	dir := open(t)
	s, err := ReadStatus(t.Context(), dir.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Stopped() || s.Ready != nil || s.Left != 0 || s.Free == 0 || s.DataDir != dir.Path {
		t.Errorf("got %+v", s)
	}
	if _, err := ReadStatus(t.Context(), filepath.Join(dir.Path, "none"), nil); err == nil {
		t.Error("no error for a directory that does not exist")
	}
}
