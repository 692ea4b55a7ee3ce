package atomicdir_test

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/projection/atomicdir"
)

const (
	maxPath    = 4096
	maxSegment = 255
)

// counted opens a directory and counts the calls of what is done in it.
func counted(t *testing.T, dir string) (*atomicdir.Dir, *int) {
	t.Helper()
	calls := 0
	d, err := atomicdir.OpenWith(dir, atomicdir.Options{}, func(string, string) error { calls++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, &calls
}

func manyFiles(n int, name func(i int) string) (t atomicdir.Tree) {
	for i := range n {
		t.Files = append(t.Files, atomicdir.File{Path: name(i), Data: []byte("content"), Mode: 0o644})
	}
	return t
}

// TestTenThousandFiles holds that the work grows with the number of files and no
// faster: ten times the files are ten times the calls.
func TestTenThousandFiles(t *testing.T) {
	for kind, name := range map[string]func(int) string{
		"flat":   func(i int) string { return fmt.Sprintf("file-%d", i) },
		"nested": func(i int) string { return fmt.Sprintf("d%d/e/file-%d", i%100, i) },
	} {
		t.Run(kind, func(t *testing.T) {
			calls := map[int]int{}
			for _, n := range []int{1000, 10_000} {
				dir := scratch(t)
				d, count := counted(t, dir)
				tree := manyFiles(n, name)
				begin := time.Now()
				for round := range byte(2) {
					tree.Files[n/2].Data = []byte{round}
					if _, err := d.Publish(t.Context(), tree); err != nil {
						t.Fatal(err)
					}
				}
				t.Logf("%d files: published and replaced in %v", n, time.Since(begin))
				begin = time.Now()
				if r, err := d.Publish(t.Context(), tree); err != nil || r.Changed {
					t.Fatalf("%+v, %v", r, err)
				}
				t.Logf("%d files: found unchanged in %v", n, time.Since(begin))
				if err := d.Purge(); err != nil {
					t.Fatal(err)
				}
				calls[n] = *count
				last := tree.Files[n-1]
				if data, err := os.ReadFile(filepath.Join(dir, last.Path)); err != nil || !bytes.Equal(data, last.Data) {
					t.Errorf("%s: %q, %v", last.Path, data, err)
				}
			}
			if calls[10_000] > 11*calls[1000] {
				t.Errorf("calls for 1,000 and 10,000 files: %v", calls)
			}
		})
	}
}

// TestNamesAtTheLimits publishes the longest segments and paths that are allowed and
// the deepest tree that fits. A process cannot open the longest by its whole name,
// but it can from inside the volume.
func TestNamesAtTheLimits(t *testing.T) {
	segment := strings.Repeat("s", maxSegment)
	for name, p := range map[string]string{
		"segment":           segment,
		"two segments":      segment + "/" + segment,
		"segment of umlaut": strings.Repeat("ü", 127) + "x",
		"longest path":      strings.Repeat(segment+"/", 15) + "x/" + strings.Repeat("p", 254),
		"deepest path":      strings.Repeat("d/", maxPath/2-1) + "f",
	} {
		t.Run(name, func(t *testing.T) {
			if len(p) > maxPath || strings.HasSuffix(name, "path") && len(p) < maxPath-1 {
				t.Fatalf("%d bytes", len(p))
			}
			dir := scratch(t)
			d, calls := counted(t, dir)
			for _, version := range []string{"1", "2"} {
				tree := atomicdir.Tree{Files: []atomicdir.File{{Path: p, Data: []byte(version), Mode: 0o600}, {Path: "beside", Mode: 0o644}}}
				if _, err := d.Stage(tree); err != nil {
					t.Fatal(err)
				}
				if _, err := d.Publish(t.Context(), tree); err != nil {
					t.Fatal(err)
				}
				if r, err := d.Publish(t.Context(), tree); err != nil || r.Changed {
					t.Errorf("the same again: %+v, %v", r, err)
				}
				if got := stepwise(t, dir, p); got != version {
					t.Errorf("%q, want %q", got, version)
				}
				if err := d.Purge(); err != nil {
					t.Fatal(err)
				}
			}
			if depth := strings.Count(p, "/") + 1; *calls > 40*depth+200 {
				t.Errorf("%d calls for a depth of %d", *calls, depth)
			}
			after, _ := counted(t, dir)
			if tree, err := after.Tree(); err != nil || len(tree.Files) != 2 {
				t.Errorf("read back %d files, %v", len(tree.Files), err)
			}
		})
	}
}

// stepwise reads a file of any depth through one handle after the other.
func stepwise(t *testing.T, dir, p string) string {
	t.Helper()
	at, err := atomicdir.Pin(dir)
	if err != nil {
		t.Fatal(err)
	}
	segments := strings.Split(path.Dir(p), "/")
	if segments[0] == "." {
		segments = nil
	}
	for _, s := range segments {
		next, err := at.OpenRoot(s)
		at.Close()
		if err != nil {
			t.Fatal(err)
		}
		at = next
	}
	defer at.Close()
	data, err := at.ReadFile(path.Base(p))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
