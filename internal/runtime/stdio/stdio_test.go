package stdio

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/clock"
)

// fixture is a container's streams as containerd has them, and its log.
type fixture struct {
	keeper         *keeper
	io, log        string
	stdout, stderr *os.File // the shim's ends
}

const id = "4bf2"

func newFixture(t *testing.T) *fixture {
	t.Helper()
	base := t.TempDir()
	f := &fixture{io: filepath.Join(base, "containers", id, "io", "123"), log: filepath.Join(base, "logs", "0.log")}
	for _, dir := range []string{f.io, filepath.Dir(f.log)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	f.stdout, f.stderr = f.pipe(t, "stdout"), f.pipe(t, "stderr")
	if err := os.WriteFile(f.log, []byte("2026-01-02T03:04:05.6Z stdout P on"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(filepath.Dir(f.log))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f.keeper = newKeeper(ctx, Config{
		Dir: filepath.Join(base, "containers"), Logs: root, LogRoot: filepath.Dir(f.log),
		Wall: clock.Real(), Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() { cancel(); root.Close() })
	return f
}

// pipe makes a named pipe and opens it as the shim does, which keeps a reader as well.
func (f *fixture) pipe(t *testing.T, name string) *os.File {
	t.Helper()
	path := filepath.Join(f.io, id+"-"+name)
	if err := unix.Mkfifo(path, 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// end is the end of the container: containerd lets go of the streams, the shim closes.
func (f *fixture) end(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(filepath.Dir(f.io)); err != nil {
		t.Fatal(err)
	}
	f.stdout.Close()
	f.stderr.Close()
}

// entries are the streams, tags and texts of the log.
func (f *fixture) entries(t *testing.T) (out []string) {
	t.Helper()
	raw, err := os.ReadFile(f.log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		stamp, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil {
			t.Errorf("entry %q: %v", line, err)
		}
		out = append(out, rest)
	}
	return out
}

func TestWhatIsLeftGoesIntoTheLog(t *testing.T) {
	f := newFixture(t)
	if err := os.WriteFile(f.log, []byte("2026-01-02T03:04:05.6Z stdout P on\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.keeper.hold(id)
	f.keeper.hold(id) // twice is once
	long := strings.Repeat("x", longestEntry)
	fmt.Fprint(f.stdout, "e\n\ntwo\n"+long+"y\nno end")
	fmt.Fprint(f.stderr, "late\n")
	f.end(t)
	f.keeper.ended(id, f.log)
	want := []string{"stdout P on", "stdout F e", "stdout F ", "stdout F two", "stdout P " + long, "stdout F y", "stdout P no end", "stderr F late"}
	if got := f.entries(t); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("log has %.60q, want %.60q", got, want)
	}
	f.keeper.ended(id, f.log)
	if got := f.entries(t); len(got) != len(want) {
		t.Errorf("told of the end twice: %d entries, want %d", len(got), len(want))
	}
	if len(f.keeper.held)+len(f.keeper.dirs) > 0 {
		t.Errorf("still held: %v, %v", f.keeper.held, f.keeper.dirs)
	}
}

// A pipe that is full keeps the shim from closing it: it is emptied when containerd lets
// go of it, not when the end of the container is told.
func TestFullPipeIsEmptiedAtOnce(t *testing.T) {
	f := newFixture(t)
	f.keeper.hold(id)
	const lines = 20_000 // more than a pipe holds
	wrote := make(chan error, 1)
	go func() {
		var all strings.Builder
		for i := range lines {
			fmt.Fprintln(&all, i)
		}
		_, err := f.stdout.WriteString(all.String())
		f.stdout.Close()
		f.stderr.Close()
		wrote <- err
	}()
	if err := os.RemoveAll(filepath.Dir(f.io)); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	f.keeper.ended(id, f.log)
	got := f.entries(t)
	if len(got) != lines || got[lines-1] != fmt.Sprintf("stdout F %d", lines-1) {
		t.Errorf("%d entries, the last is %q; want %d", len(got), got[len(got)-1], lines)
	}
}

func TestNothingLeftChangesNothing(t *testing.T) {
	f := newFixture(t)
	f.keeper.hold(id)
	f.end(t)
	f.keeper.ended(id, f.log)
	f.keeper.ended("unknown", f.log)
	if got := f.entries(t); len(got) != 1 {
		t.Errorf("log has %q", got)
	}
}

func TestRemovedContainerIsLetGo(t *testing.T) {
	f := newFixture(t)
	f.keeper.hold(id)
	c := f.keeper.held[id]
	f.keeper.drop(id)
	if _, err := c.streams[0].file.Read(make([]byte, 1)); err == nil {
		t.Error("the stream of a removed container is still open")
	}
	if len(f.keeper.held)+len(f.keeper.dirs) > 0 {
		t.Errorf("still held: %v, %v", f.keeper.held, f.keeper.dirs)
	}
}

// Only pipes are opened: a link or file in their place is none of containerd's.
func TestOnlyPipesAreHeld(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(f.io, id+"-stdout")
	for what, put := range map[string]func() error{
		"file": func() error { return os.WriteFile(path, nil, 0o600) },
		"link": func() error { return os.Symlink(f.log, path) },
	} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if f.keeper.hold(id); f.keeper.held[id] != nil {
			t.Errorf("a %s is held", what)
		}
	}
}
