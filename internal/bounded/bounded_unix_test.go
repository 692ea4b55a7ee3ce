//go:build unix

package bounded_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"laterna.dev/laterna/internal/bounded"
)

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(
		syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600), os.Mkdir(filepath.Join(dir, "directory"), 0o700),
		os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600),
		os.Symlink("file", filepath.Join(dir, "link")), os.Symlink("/dev/zero", filepath.Join(dir, "device")),
	); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, name := range []string{"pipe", "directory", "device"} {
		if got, err := bounded.File(filepath.Join(dir, name), 7); !errors.Is(err, bounded.ErrNotRegular) {
			t.Errorf("File %s: %q, %v", name, got, err)
		}
		if got, err := bounded.Below(root, name, 7); !errors.Is(err, bounded.ErrNotRegular) {
			t.Errorf("Below %s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"pipe", "directory"} {
		if got, err := bounded.In(os.DirFS(dir), name, 7); !errors.Is(err, bounded.ErrNotRegular) {
			t.Errorf("In %s: %q, %v", name, got, err)
		}
	}
	if got, err := bounded.File(filepath.Join(dir, "link"), 7); string(got) != "content" || err != nil {
		t.Errorf("File through a link: %q, %v", got, err)
	}
	if got, err := bounded.Below(root, "link", 7); !errors.Is(err, bounded.ErrNotRegular) {
		t.Errorf("Below through a link: %q, %v", got, err)
	}
}

func TestInputMayBeAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]error{"short": nil, "too long": bounded.ErrTooLarge} {
		done := make(chan error, 1)
		go func() { done <- os.WriteFile(path, []byte(text), 0) }()
		got, err := bounded.Input(path, 5)
		if !errors.Is(err, want) || (want == nil && string(got) != text) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
