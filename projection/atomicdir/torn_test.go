package atomicdir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"laterna.dev/laterna/projection/atomicdir"
)

const tornFiles = 10

func tornTree(n int) (t atomicdir.Tree) {
	for i := range tornFiles {
		t.Files = append(t.Files, atomicdir.File{Path: fmt.Sprintf("d%d/f%d", i%3, i), Data: []byte(strconv.Itoa(n)), Mode: 0o644})
	}
	return t
}

// TestNoTornReads rewrites directories while readers that pin a generation read all
// of its files: never a mixture, never a missing file, never an older generation
// after a newer one. The rate of one directory is bound by the grace of replaced
// generations, hence many directories.
func TestNoTornReads(t *testing.T) {
	dirs, rewrites := 200, 25
	if os.Getenv("LATERNA_SOAK") != "" {
		dirs, rewrites = 1000, 100
	}
	var published, reads, late atomic.Int64
	var wg sync.WaitGroup
	base := scratch(t)
	for i := range dirs {
		dir := filepath.Join(base, strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		d := open(t, dir)
		publish(t, d, tornTree(0))
		done := make(chan struct{})
		wg.Go(func() {
			defer close(done)
			for n := 1; n <= rewrites; n++ {
				r, err := d.Publish(t.Context(), tornTree(n))
				if err != nil || !r.Changed {
					t.Errorf("rewrite %d: %+v, %v", n, r, err)
					return
				}
				published.Add(1)
			}
		})
		wg.Go(func() {
			for last := 0; ; {
				start := time.Now()
				n, err := readPinned(dir)
				if time.Since(start) >= atomicdir.Grace { // the machine is busy: nothing was promised
					late.Add(1)
					continue
				}
				if err != nil || n < last {
					t.Errorf("after generation %d: %d, %v", last, n, err)
					return
				}
				last = n
				reads.Add(1)
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d rewrites, %d reads of %d files, %d took too long", published.Load(), reads.Load(), tornFiles, late.Load())
	if want := int64(dirs * rewrites); published.Load() != want || reads.Load() < want {
		t.Errorf("%d of %d rewrites, %d reads", published.Load(), want, reads.Load())
	}
}

func readPinned(dir string) (version int, err error) {
	g, err := atomicdir.Pin(dir)
	if err != nil {
		return 0, err
	}
	defer g.Close()
	for i := range tornFiles {
		data, err := g.ReadFile(filepath.Join(fmt.Sprintf("d%d", i%3), fmt.Sprintf("f%d", i)))
		if err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(string(data))
		if err != nil || i > 0 && n != version {
			return 0, fmt.Errorf("file %d has %q, an earlier one has %d", i, data, version)
		}
		version = n
	}
	return version, nil
}
