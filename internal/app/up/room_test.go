package up

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/datadir"
)

// A start on a file system that is really full, of bytes or of inodes.
func TestStartOnAFullDiskSaysWhatToDo(t *testing.T) {
	for _, test := range []struct {
		name, options string
		files, size   int
	}{
		{"no bytes", "size=2m,nr_inodes=1000", 1, 2 << 20},
		{"no inodes", "size=64m,nr_inodes=20", 19, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, test.options); err != nil {
				t.Fatalf("mounting a tmpfs (the test needs root): %v", err)
			}
			defer func() {
				if err := unix.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			}()
			data := filepath.Join(dir, "data")
			if err := os.Mkdir(data, 0o700); err != nil {
				t.Fatal(err)
			}
			located, err := datadir.Locate(data)
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(located.RunDir)
			for i := range test.files {
				err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), make([]byte, test.size), 0o600)
				if err != nil && !errors.Is(err, syscall.ENOSPC) {
					t.Fatal(err)
				}
			}
			err = RunAsGuest(t.Context(), config.Config{DataDir: data}, Guest{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Ready: func() { t.Error("ready") }})
			if !errors.Is(err, syscall.ENOSPC) || strings.Count(err.Error(), "make room") != 1 || !strings.Contains(err.Error(), data) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestHintOfRoomIsGivenOnce(t *testing.T) {
	told := fmt.Errorf("opening store: %w; make room there", syscall.ENOSPC)
	other := errors.New("other")
	for _, err := range []error{nil, told, other} {
		if got := withRoomHint("/d", err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
