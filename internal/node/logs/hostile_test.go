package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

// hostile is a log with one line of so many bytes, in entries of the size that containerd
// writes, behind some short lines. With whole it is one entry, as no runtime writes.
func hostile(t *testing.T, size int, whole bool) Source {
	t.Helper()
	src, path := logFile(t, "")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprint(f, entry(0, Stdout, "F", "first")+entry(1, Stdout, "F", "second"))
	chunk := strings.Repeat("A", 16<<10)
	if whole {
		fmt.Fprint(f, strings.TrimSuffix(entry(2, Stdout, "F", ""), "\n"))
	}
	for range size >> 14 {
		if !whole {
			chunk = entry(2, Stdout, "P", chunk[:16<<10])
			fmt.Fprint(f, chunk)
			chunk = strings.Repeat("A", 16<<10)
			continue
		}
		fmt.Fprint(f, chunk)
	}
	if !whole {
		fmt.Fprint(f, strings.TrimSuffix(entry(2, Stdout, "F", ""), "\n"))
	}
	fmt.Fprint(f, "end\n")
	return src
}

// counter keeps the ends of what is written to it.
type counter struct {
	n           int64
	first, last []byte
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	c.first = append(c.first, p[:min(len(p), 8-len(c.first))]...)
	c.last = append(c.last, p[max(len(p)-8, 0):]...)
	c.last = append(c.last[:0], c.last[max(len(c.last)-8, 0):]...)
	return len(p), nil
}

// allocates fails when f allocates more than bytes.
func allocates(t *testing.T, what string, most uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > most {
		t.Errorf("%s allocated %d bytes", what, took)
	}
}

func TestALineIsNeverHeld(t *testing.T) {
	const size = 24 << 20
	for name, whole := range map[string]bool{"in entries": false, "in one entry": true} {
		src := hostile(t, size, whole)
		for what, tt := range map[string]struct {
			o     Options
			n     int64
			first string
		}{
			"all":             {Options{}, size + 6 + 7 + 4, "first\nse"},
			"tail":            {Options{Tail: ptr(int64(1))}, size + 4, "AAAAAAAA"},
			"tail and before": {Options{Tail: ptr(int64(2))}, size + 7 + 4, "second\nA"},
			"limit":           {Options{Tail: ptr(int64(1)), LimitBytes: ptr(int64(100))}, 100, "AAAAAAAA"},
			"since":           {Options{Since: base.Add(2 * time.Second)}, size + 4, "AAAAAAAA"},
			"later":           {Options{Since: base.Add(time.Hour)}, 0, ""},
			"other stream":    {Options{Stream: Stderr}, 0, ""},
			"time stamps":     {Options{Tail: ptr(int64(1)), Timestamps: true}, size + 4 + 31, "2026-01-"},
			"followed":        {Options{Follow: true}, size + 6 + 7 + 4, "first\nse"},
		} {
			var out counter
			allocates(t, name+", "+what, 2<<20, func() {
				if err := Copy(t.Context(), &out, nil, src, tt.o); err != nil {
					t.Error(err)
				}
			})
			if out.n != tt.n || string(out.first) != tt.first || (tt.n > 100 && string(out.last) != "AAAAend\n") {
				t.Errorf("%s, %s: %d bytes %q … %q, want %d from %q", name, what, out.n, out.first, out.last, tt.n, tt.first)
			}
		}
		allocates(t, name+", its end", 1<<20, func() {
			got, err := End(t.Context(), src, 80, 2048)
			if want := strings.Repeat("A", 2044) + "end\n"; string(got) != want || err != nil {
				t.Errorf("%s: the end is %d bytes, %v", name, len(got), err)
			}
		})
	}
}

func TestEnd(t *testing.T) {
	var many strings.Builder
	for i := range 500 {
		many.WriteString(entry(i, Stdout, "F", fmt.Sprintf("line %d", i)))
	}
	for name, tt := range map[string]struct {
		log   string
		lines int64
		n     int
		want  string
	}{
		"empty":           {"", 80, 2048, ""},
		"short":           {entry(0, Stdout, "F", "a") + entry(1, Stderr, "F", "b"), 80, 2048, "a\nb\n"},
		"lines":           {many.String(), 2, 2048, "line 498\nline 499\n"},
		"bytes":           {many.String(), 80, 12, "98\nline 499\n"},
		"bytes of a line": {many.String(), 80, 4, "499\n"},
		"cut lines":       {entry(0, Stdout, "F", "x") + entry(1, Stdout, "P", "ab") + entry(1, Stdout, "F", "cd"), 1, 2048, "abcd\n"},
		"not finished":    {entry(1, Stdout, "F", "ab") + entry(1, Stdout, "P", "cd"), 80, 2048, "ab\ncd"},
		"not a log":       {strings.Repeat("x", 100_000) + "\n" + entry(0, Stdout, "F", "a") + "x\n", 80, 2048, "a\n"},
		"none":            {many.String(), 0, 2048, ""},
	} {
		src, _ := logFile(t, tt.log)
		if got, err := End(t.Context(), src, tt.lines, tt.n); string(got) != tt.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tt.want)
		}
	}
	for name, tt := range map[string]struct{ before, now, want string }{
		"nothing since":  {entry(0, Stdout, "F", "a") + entry(1, Stdout, "F", "b"), "", "a\nb\n"},
		"a line since":   {many.String(), entry(9, Stdout, "F", "now"), "line 498\nline 499\nnow\n"},
		"enough since":   {many.String(), entry(7, Stdout, "F", "1") + entry(8, Stdout, "F", "2") + entry(9, Stdout, "F", "3"), "1\n2\n3\n"},
		"within a line":  {entry(0, Stdout, "F", "a") + entry(1, Stdout, "P", "b"), entry(2, Stdout, "F", "c"), "a\nbc\n"},
		"many bytes now": {many.String(), entry(7, Stdout, "F", strings.Repeat("x", 5000)), strings.Repeat("x", 2047) + "\n"},
	} {
		src, path := logFile(t, tt.now)
		for suffix, log := range map[string]string{".20260102-030405": "older\n", ".20260102-030406": tt.before} {
			if err := os.WriteFile(path+suffix, []byte(log), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := End(t.Context(), src, 3, 2048); string(got) != tt.want || err != nil {
			t.Errorf("after a rotation, %s: %q, %v; want %q", name, got, err, tt.want)
		}
	}
	src, _ := logFile(t, many.String())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := End(ctx, src, 80, 2048); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

// TestOnlyAFileIsALog has a pipe and a device in a log's place, that nobody writes to or
// that never end.
func TestOnlyAFileIsALog(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"pipe":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
		"link":   func(path string) error { return os.Symlink("other", path) },
	} {
		src, path := logFile(t, "")
		if err := errors.Join(os.Remove(path), put(path)); err != nil {
			t.Fatal(err)
		}
		if err := Copy(t.Context(), &bytes.Buffer{}, nil, src, Options{}); !errors.Is(err, bounded.ErrNotRegular) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := End(t.Context(), src, 80, 2048); !errors.Is(err, bounded.ErrNotRegular) {
			t.Errorf("%s, its end: %v", name, err)
		}
	}
}
