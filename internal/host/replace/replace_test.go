package replace_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"laterna.dev/laterna/internal/host/replace"
)

// ways are the four functions, for the file name in dir.
func ways(t *testing.T, dir string) map[string]func(name string, content []byte, mode fs.FileMode) error {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	type way = func(name string, content []byte, mode fs.FileMode) error
	path := func(f func(string, []byte, fs.FileMode) error) way {
		return func(name string, content []byte, mode fs.FileMode) error {
			return f(filepath.Join(dir, name), content, mode)
		}
	}
	below := func(f func(*os.Root, string, []byte, fs.FileMode) error) way {
		return func(name string, content []byte, mode fs.FileMode) error { return f(root, name, content, mode) }
	}
	return map[string]way{
		"File": path(replace.File), "Unsynced": path(replace.Unsynced),
		"Below": below(replace.Below), "UnsyncedBelow": below(replace.UnsyncedBelow),
	}
}

func TestFileHasContentAndModeWhateverWasThere(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, write := range ways(t, dir) {
		for _, file := range []string{name, "sub/" + name} {
			for i, mode := range []fs.FileMode{0o644, 0o600, 0o444, 0o640} {
				want := bytes.Repeat([]byte{byte('a' + i)}, 1000-i)
				if err := write(file, want, mode); err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				got, err := os.ReadFile(filepath.Join(dir, file))
				info, statErr := os.Stat(filepath.Join(dir, file))
				if err != nil || statErr != nil || !bytes.Equal(got, want) || info.Mode() != mode {
					t.Errorf("%s, write %d: %d bytes, %v, %v, %v; want %d bytes, %v", file, i, len(got), info.Mode(), err, statErr, len(want), mode)
				}
			}
		}
	}
	for _, d := range []string{dir, filepath.Join(dir, "sub")} {
		if left, err := filepath.Glob(filepath.Join(d, ".*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

func TestLinksAreReplacedAndLeadNowhere(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, write := range ways(t, dir) {
		if err := os.Symlink(victim, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := write(name, []byte("new"), 0o600); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s: the link is still there: %v, %v", name, info, err)
		}
	}
	if raw, err := os.ReadFile(victim); err != nil || string(raw) != "mine" {
		t.Errorf("written through a link: %q, %v", raw, err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Below", "UnsyncedBelow"} {
		if err := ways(t, dir)[name]("out/victim", []byte("new"), 0o600); err == nil {
			t.Errorf("%s left the directory through a link", name)
		}
	}
}

func TestFailureLeavesWhatWasThereAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "taken", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, write := range ways(t, dir) {
		if err := write("taken", []byte("x"), 0o600); err == nil || !strings.Contains(err.Error(), "taken") {
			t.Errorf("%s over a directory: %v", name, err)
		}
		if err := write("missing/file", []byte("x"), 0o600); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s in a directory that is not there: %v", name, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestReadersAndWritersAtOnceSeeWholeFiles(t *testing.T) {
	dir := t.TempDir()
	write := ways(t, dir)["UnsyncedBelow"]
	whole := func(b byte) []byte { return bytes.Repeat([]byte{b}, 64<<10) }
	if err := write("file", whole('a'), 0o600); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for _, b := range []byte("abcd") {
		writers.Go(func() {
			for range 50 {
				if err := write("file", whole(b), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		got, err := os.ReadFile(filepath.Join(dir, "file"))
		if err != nil || len(got) == 0 || !bytes.Equal(got, whole(got[0])) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestUnfinishedKnowsItsOwn(t *testing.T) {
	for file, want := range map[string]bool{".version.ABCDEFGH": true, "version": false, ".version": false, ".versions.A": false, "x.version.A": false} {
		if got := replace.Unfinished(file, "/data/version"); got != want {
			t.Errorf("%s: %v", file, got)
		}
	}
}
