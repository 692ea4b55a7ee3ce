package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"laterna.dev/laterna/internal/clock"
)

var base = time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)

// entry is a log entry; i seconds after base.
func entry(i int, stream Stream, tag, text string) string {
	return fmt.Sprintf("%s %s %s %s\n", base.Add(time.Duration(i)*time.Second).Format(time.RFC3339Nano), stream, tag, text)
}

func logFile(t *testing.T, content string) (Source, string) {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	if err := root.Mkdir("c", 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root.Name(), "c", "0.log")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return Source{Root: root, Path: "c/0.log", Running: func() bool { return false }, Clock: clock.Real()}, path
}

func ptr[T any](v T) *T { return &v }

func TestCopy(t *testing.T) {
	content := entry(0, Stdout, "F", "one") + entry(1, Stderr, "F", "two") +
		entry(2, Stdout, "P", "thr") + entry(3, Stdout, "F", "ee") +
		"not an entry\n" + entry(4, Stdout, "F:x", "") + strings.TrimSuffix(entry(5, Stdout, "F", "six"), "\n")
	at := func(i int) string { return base.Add(time.Duration(i)*time.Second).Format(timeFormat) + " " }
	tests := map[string]struct {
		o    Options
		want string
	}{
		"all":                 {Options{}, "one\ntwo\nthree\n\nsix\n"},
		"stderr only":         {Options{Stream: Stderr}, "two\n"},
		"timestamps":          {Options{Timestamps: true}, at(0) + "one\n" + at(1) + "two\n" + at(2) + "three\n" + at(4) + "\n" + at(5) + "six\n"},
		"since":               {Options{Since: base.Add(4 * time.Second)}, "\nsix\n"},
		"tail 0":              {Options{Tail: ptr(int64(0))}, ""},
		"tail 1":              {Options{Tail: ptr(int64(1))}, "six\n"},
		"tail counts lines":   {Options{Tail: ptr(int64(3))}, "three\n\nsix\n"},
		"tail beyond":         {Options{Tail: ptr(int64(99))}, "one\ntwo\nthree\n\nsix\n"},
		"limit":               {Options{LimitBytes: ptr(int64(6))}, "one\ntw"},
		"limit 0":             {Options{LimitBytes: ptr(int64(0))}, ""},
		"limit counts stamps": {Options{LimitBytes: ptr(int64(4)), Timestamps: true}, at(0)[:4]},
		"tail then since":     {Options{Tail: ptr(int64(2)), Since: base.Add(5 * time.Second)}, "six\n"},
		"follow of the dead":  {Options{Follow: true}, "one\ntwo\nthree\n\nsix\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			src, _ := logFile(t, content)
			var out bytes.Buffer
			if err := Copy(t.Context(), &out, nil, src, tt.o); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Errorf("got  %q\nwant %q", out.String(), tt.want)
			}
		})
	}
}

func TestTailAcrossBlocks(t *testing.T) {
	var content strings.Builder
	for i := range 5000 {
		content.WriteString(entry(i, Stdout, "F", fmt.Sprintf("line %d %s", i, strings.Repeat("x", i%300))))
	}
	src, _ := logFile(t, content.String())
	for _, n := range []int64{1, 7, 400, 4999, 5000} {
		var out bytes.Buffer
		if err := Copy(t.Context(), &out, nil, src, Options{Tail: &n}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if int64(len(lines)) != n || !strings.HasPrefix(lines[0], fmt.Sprintf("line %d ", 5000-n)) {
			t.Errorf("tail %d: %d lines, the first %q", n, len(lines), lines[0])
		}
	}
}

func TestTailReachesBackBeyondARotation(t *testing.T) {
	old := entry(0, Stdout, "F", "a") + entry(1, Stdout, "F", "b") + entry(2, Stdout, "F", "c")
	for name, tt := range map[string]struct {
		before, now string
		o           Options
		want        string
	}{
		"nothing since":   {old, "", Options{Tail: ptr(int64(1))}, "c\n"},
		"too little":      {old, entry(3, Stdout, "F", "d"), Options{Tail: ptr(int64(3))}, "b\nc\nd\n"},
		"enough":          {old, entry(3, Stdout, "F", "d"), Options{Tail: ptr(int64(1))}, "d\n"},
		"none":            {old, entry(3, Stdout, "F", "d"), Options{Tail: ptr(int64(0))}, ""},
		"without a tail":  {old, entry(3, Stdout, "F", "d"), Options{}, "d\n"},
		"all there are":   {old, entry(3, Stdout, "F", "d"), Options{Tail: ptr(int64(99))}, "a\nb\nc\nd\n"},
		"within a line":   {entry(0, Stdout, "F", "a") + entry(1, Stdout, "P", "b"), entry(2, Stdout, "F", "c"), Options{Tail: ptr(int64(3))}, "a\nbc\n"},
		"limited":         {old, entry(3, Stdout, "F", "d"), Options{Tail: ptr(int64(3)), LimitBytes: ptr(int64(3))}, "b\nc"},
		"followed":        {old, entry(3, Stdout, "F", "d"), Options{Tail: ptr(int64(2)), Follow: true}, "c\nd\n"},
		"since, and tail": {old, entry(3, Stdout, "F", "d"), Options{Tail: ptr(int64(4)), Since: base.Add(2 * time.Second)}, "c\nd\n"},
	} {
		src, path := logFile(t, tt.now)
		for suffix, log := range map[string]string{".20260102-030405": "older\n", ".20260102-030406": tt.before} {
			if err := os.WriteFile(path+suffix, []byte(log), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		if err := Copy(t.Context(), &out, nil, src, tt.o); err != nil || out.String() != tt.want {
			t.Errorf("%s: %q, %v; want %q", name, &out, err, tt.want)
		}
	}
}

func TestCopyMissing(t *testing.T) {
	src, _ := logFile(t, "")
	src.Path = "c/9.log"
	if err := Copy(t.Context(), &bytes.Buffer{}, nil, src, Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one that wraps ErrNotExist", err)
	}
}

func TestCopyStaysInRoot(t *testing.T) {
	src, path := logFile(t, "")
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte(entry(0, Stdout, "F", "secret")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, path); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Copy(t.Context(), &out, nil, src, Options{}); err == nil || out.Len() > 0 {
		t.Errorf("a link out of the root was read: %q, error %v", out.String(), err)
	}
}

// lockedBuffer is read while Copy writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) waitFor(t *testing.T, want string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		l.mu.Lock()
		got := l.b.String()
		l.mu.Unlock()
		if got == want {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("got %q, want %q", l.b.String(), want)
}

func TestFollowThroughRotation(t *testing.T) {
	src, path := logFile(t, entry(0, Stdout, "F", "a"))
	var running atomic.Bool
	running.Store(true)
	src.Running = running.Load
	var out lockedBuffer
	done := make(chan error, 1)
	go func() { done <- Copy(t.Context(), &out, nil, src, Options{Follow: true}) }()
	out.waitFor(t, "a\n")

	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	line := entry(1, Stdout, "F", "b")
	fmt.Fprint(f, line[:len(line)/2]) // half an entry is not shown
	fmt.Fprint(f, line[len(line)/2:])
	out.waitFor(t, "a\nb\n")

	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, entry(2, Stdout, "F", "c"))
	if err := os.WriteFile(path, []byte(entry(3, Stdout, "F", "d")), 0o644); err != nil {
		t.Fatal(err)
	}
	f.Close()
	out.waitFor(t, "a\nb\nc\nd\n")

	running.Store(false)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// gate lets writes wait until it is opened.
type gate struct {
	lockedBuffer
	opened  chan struct{}
	reached chan struct{}
	once    sync.Once
}

func (g *gate) Write(p []byte) (int, error) {
	g.once.Do(func() { close(g.reached) })
	<-g.opened
	return g.lockedBuffer.Write(p)
}

func TestSlowFollowerMissesNoRotatedFile(t *testing.T) {
	for name, tt := range map[string]struct {
		removed int // of the oldest rotated files
		want    string
	}{
		"all kept":                        {0, "a\nb\nc\nd\n"},
		"its own removed":                 {1, "a\nb\nc\nd\n"},
		"its own and the next removed":    {2, "a\nc\nd\n"},
		"all rotated ones removed by now": {3, "a\nd\n"},
	} {
		t.Run(name, func(t *testing.T) {
			src, path := logFile(t, entry(0, Stdout, "F", "a"))
			var running atomic.Bool
			running.Store(true)
			src.Running = running.Load
			out := &gate{opened: make(chan struct{}), reached: make(chan struct{})}
			done := make(chan error, 1)
			go func() { done <- Copy(t.Context(), out, nil, src, Options{Follow: true}) }()
			<-out.reached
			for i, text := range []string{"b", "c", "d"} {
				if err := os.Rename(path, path+"."+base.Add(time.Duration(i)*time.Minute).Format(rotatedFormat)); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(entry(i+1, Stdout, "F", text)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			files, err := rotatedFiles(src.Root, src.Path)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files[:tt.removed] {
				if err := src.Root.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
			close(out.opened)
			out.waitFor(t, tt.want)
			running.Store(false)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestFollowEndsWithContext(t *testing.T) {
	src, _ := logFile(t, "")
	src.Running = func() bool { return true }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Copy(ctx, &bytes.Buffer{}, nil, src, Options{Follow: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

func TestRotate(t *testing.T) {
	src, path := logFile(t, strings.Repeat("x", MaxSize+1))
	reopened := 0
	reopen := func() error {
		reopened++
		return os.WriteFile(path, []byte(strings.Repeat("x", MaxSize+1)), 0o644)
	}
	for i := range 7 {
		if err := Rotate(src.Root, src.Path, base.Add(time.Duration(i)*time.Second), reopen); err != nil {
			t.Fatal(err)
		}
	}
	files, err := rotatedFiles(src.Root, src.Path)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != KeepFiles-1 || reopened != 7 || !strings.HasSuffix(files[0], "20260102-030408") {
		t.Errorf("after 7 rotations: %d reopened, kept %q", reopened, files)
	}
	if err := Rotate(src.Root, src.Path, base, func() error { return errors.New("refused") }); err == nil {
		t.Error("a refused reopening was not reported")
	}
	if info, err := os.Stat(path); err != nil || info.Size() != MaxSize+1 {
		t.Errorf("after a refused reopening the log is not in its place: %v", err)
	}
	if err := RemoveLog(src.Root, src.Path); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("left after removal: %v", left)
	}
}

func TestRotateLeavesSmallAndMissing(t *testing.T) {
	src, path := logFile(t, "small")
	never := func() error { t.Error("reopened"); return nil }
	if err := Rotate(src.Root, src.Path, base, never); err != nil {
		t.Fatal(err)
	}
	os.Remove(path)
	if err := Rotate(src.Root, src.Path, base, never); err != nil {
		t.Fatal(err)
	}
}

func TestParseLineRejects(t *testing.T) {
	for _, s := range []string{"", "x", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z stdout", "2026-01-02T03:04:05Z stdout F", "yesterday stdout F x", "2026-01-02T03:04:05Z stdin F x"} {
		if line, err := ParseLine([]byte(s)); err == nil {
			t.Errorf("ParseLine(%q) = %+v, want an error", s, line)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte(entry(0, Stdout, "F", "text")))
	f.Add([]byte(entry(0, Stderr, "P:x", "")))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		line, err := ParseLine(raw)
		if err == nil && !bytes.HasSuffix(bytes.TrimSuffix(raw, []byte{'\n'}), line.Text) {
			t.Errorf("text %q is not the end of %q", line.Text, raw)
		}
	})
}

// tailPlainly is tailOffset of lines, found with all of the log in memory.
func tailPlainly(content []byte, n int64) int64 {
	start, lines, last := int64(len(content)), int64(0), true
	if n <= 0 {
		return start
	}
	for start > 0 {
		begin := bytes.LastIndexByte(content[:start-1], '\n') + 1
		if line, err := ParseLine(content[begin:start]); err == nil && (!line.Partial || last) {
			if lines == n {
				break
			}
			lines++
		}
		last, start = false, int64(begin)
	}
	return start
}

func FuzzTail(f *testing.F) {
	f.Add([]byte(entry(0, Stdout, "F", "a")+entry(1, Stdout, "P", "b")), int64(1), int64(1))
	f.Add([]byte("\n\n\nx"), int64(2), int64(7))
	f.Add([]byte(entry(0, Stdout, "F", "a")+entry(1, Stdout, "P", "b")+"x\n"+entry(2, Stdout, "F", "c")), int64(1), int64(9000))
	f.Fuzz(func(t *testing.T, content []byte, n, pad int64) {
		// Far from the end of the file blocks meet anywhere in what comes before.
		content = append(content, entry(9, Stdout, "P", strings.Repeat("x", int(uint64(pad)%(3*tailBlock))))...)
		size := int64(len(content))
		start, _, err := tailOffset(bytes.NewReader(content), size, n, math.MaxInt64)
		if want := tailPlainly(content, n); err != nil || start != want {
			t.Fatalf("start %d of %d, want %d, error %v", start, size, want, err)
		}
		for _, text := range []int64{0, 1, 2048} {
			late, _, err := tailOffset(bytes.NewReader(content), size, n, text)
			if err != nil || late < start || late > size || late > 0 && late < size && content[late-1] != '\n' {
				t.Errorf("for %d bytes %d of %d, error %v", text, late, size, err)
			}
		}
	})
}
