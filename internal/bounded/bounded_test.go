package bounded_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/bounded"
)

// zeros never ends.
type zeros struct{ n int64 }

func (z *zeros) Read(p []byte) (int, error) {
	z.n += int64(len(p))
	return len(p), nil
}

func TestAllTakesNoMoreThanItsLimit(t *testing.T) {
	for text, want := range map[string]error{"": nil, "0123456789": nil, "0123456789x": bounded.ErrTooLarge} {
		got, err := bounded.All(strings.NewReader(text), 10)
		if !errors.Is(err, want) || string(got) != text || got == nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	endless := &zeros{}
	if _, err := bounded.All(endless, 1<<20); !errors.Is(err, bounded.ErrTooLarge) || endless.n > 4<<20 {
		t.Errorf("took %d bytes of a stream without end, %v", endless.n, err)
	}
	if _, err := bounded.All(io.MultiReader(strings.NewReader("x"), broken{}), 10); !errors.Is(err, errBroken) {
		t.Errorf("error %v", err)
	}
	if got, err := bounded.Beginning(io.MultiReader(strings.NewReader("x"), broken{}), 10); string(got) != "x" || !errors.Is(err, errBroken) {
		t.Errorf("beginning of a stream that breaks: %q, %v", got, err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// sparse makes a file that says it is larger than any memory.
func sparse(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(1<<40), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreReadToTheirBound(t *testing.T) {
	dir := t.TempDir()
	sparse(t, filepath.Join(dir, "sparse"))
	for name, content := range map[string]string{"file": "content", "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	reads := map[string]func(name string) ([]byte, error){
		"File":  func(name string) ([]byte, error) { return bounded.File(filepath.Join(dir, name), 7) },
		"Input": func(name string) ([]byte, error) { return bounded.Input(filepath.Join(dir, name), 7) },
		"In":    func(name string) ([]byte, error) { return bounded.In(root.FS(), name, 7) },
		"Below": func(name string) ([]byte, error) { return bounded.Below(root, name, 7) },
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for how, read := range reads {
		for name, want := range map[string]string{"file": "content", "empty": ""} {
			if got, err := read(name); string(got) != want || err != nil {
				t.Errorf("%s %s: %q, %v", how, name, got, err)
			}
		}
		for name, want := range map[string]error{"sparse": bounded.ErrTooLarge, "none": fs.ErrNotExist} {
			var at *fs.PathError
			if got, err := read(name); got != nil || !errors.Is(err, want) || !errors.As(err, &at) {
				t.Errorf("%s %s: %q, %v; want %v with its path", how, name, got, err, want)
			}
		}
	}
	if got, err := bounded.Prefix(filepath.Join(dir, "sparse"), 3); string(got) != "\x00\x00\x00" || err != nil {
		t.Errorf("Prefix: %q, %v", got, err)
	}
	for name, want := range map[string]string{"sparse": "\x00\x00\x00", "file": "ent", "empty": ""} {
		f, err := bounded.OpenBelow(root, name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := bounded.End(f, 3); string(got) != want || err != nil {
			t.Errorf("End of %s: %q, %v", name, got, err)
		}
		f.Close()
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("reading allocated %d bytes", took)
	}
}
