package containerfiles

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHostsFileIsRewrittenWhateverAContainerLeft has in its place what a container, or a
// disk, can leave there.
func TestHostsFileIsRewrittenWhateverAContainerLeft(t *testing.T) {
	const content = "127.0.0.1\tlocalhost\n"
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, leave := range map[string]func(path string) error{
		"nothing":  func(string) error { return nil },
		"the same": func(path string) error { return os.WriteFile(path, []byte(content), 0o644) },
		"longer":   func(path string) error { return os.WriteFile(path, []byte(content+content), 0o644) },
		"closed":   func(path string) error { return os.WriteFile(path, []byte(content), 0) },
		"setuid": func(path string) error {
			return errors.Join(os.WriteFile(path, []byte(content), 0o644), os.Chmod(path, 0o644|fs.ModeSetuid))
		},
		"sparse": func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40)) },
		"pipe":   func(path string) error { return unix.Mkfifo(path, 0o644) },
		"link":   func(path string) error { return os.Symlink(outside, path) },
		"within": func(path string) error { return os.Symlink("other", path) },
		"tree":   func(path string) error { return os.MkdirAll(filepath.Join(path, "a"), 0o755) },
	} {
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		path := filepath.Join(root.Name(), hostsFile)
		if err := leave(path); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		was, _ := os.Lstat(path)
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		err = rewrite(root, hostsFile, []byte(content), hostsMode)
		goruntime.ReadMemStats(&after)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s: rewriting allocated %d bytes", name, took)
		}
		is, err := os.Lstat(path)
		if err != nil || is.Mode() != hostsMode || is.Size() != int64(len(content)) {
			t.Fatalf("%s: %v, %v", name, is, err)
		}
		if got, _ := os.ReadFile(path); string(got) != content {
			t.Errorf("%s: %q", name, got)
		}
		if was != nil && was.Mode().IsRegular() && !os.SameFile(was, is) {
			t.Errorf("%s: containers that run have another file", name)
		}
	}
	if got, _ := os.ReadFile(outside); string(got) != "precious" {
		t.Errorf("outside: %q", got)
	}
}
