package atomicdir_test

import (
	"context"
	"errors"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"laterna.dev/laterna/projection/atomicdir"
)

func numbered(n int) atomicdir.Tree { return files("n", strconv.Itoa(n)) }

func TestReplacedGenerationsLiveForTheGrace(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dir)
		publish(t, d, numbered(0))
		pinned, err := atomicdir.Pin(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer pinned.Close()
		publish(t, d, numbered(1))

		time.Sleep(atomicdir.Grace - time.Millisecond)
		if got, err := pinned.ReadFile("n"); err != nil || string(got) != "0" {
			t.Errorf("within the grace: %q, %v", got, err)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if got := generations(t, dir); len(got) != 1 {
			t.Errorf("after the grace: %q", got)
		}
	})
}

func TestWriterWaitsAndCoalescesWhenBothLimitsMeet(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dir)
		start := time.Now()
		for n := range atomicdir.MaxReplaced + 1 {
			publish(t, d, numbered(n))
			time.Sleep(10 * time.Millisecond)
		}
		if got := len(generations(t, dir)); got != atomicdir.MaxReplaced+1 {
			t.Fatalf("%d generations", got)
		}
		if r, err := d.TryPublish(numbered(99)); err != nil || r.RetryAfter <= 0 || r.Changed {
			t.Errorf("TryPublish: %+v, %v", r, err)
		}

		var results [5]atomicdir.Result
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() { results[i] = publish(t, d, numbered(100+i)) })
			synctest.Wait() // the calls are in order
		}
		wg.Wait()
		// The first generation was replaced 10 ms after start and makes room 2 s later.
		if took := time.Since(start); took < atomicdir.Grace || took > atomicdir.Grace+50*time.Millisecond {
			t.Errorf("took %v", took)
		}
		wantVisible(t, dir, map[string]string{"n": "104"})
		for i, r := range results {
			if !reflect.DeepEqual(r, results[0]) || !r.Changed {
				t.Errorf("call %d: %+v, want %+v", i, r, results[0])
			}
		}
		if got := len(generations(t, dir)); got != atomicdir.MaxReplaced+1 {
			t.Errorf("%d generations: the calls were not coalesced", got)
		}
	})
}

func TestContextEndsTheWait(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dir)
		for n := range atomicdir.MaxReplaced + 1 {
			publish(t, d, numbered(n))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { publish(t, d, numbered(50)) })
		synctest.Wait()
		if _, err := d.Publish(ctx, numbered(51)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		wg.Wait()
		wantVisible(t, dir, map[string]string{"n": "50"})
	})
}

func TestPurgeLeavesOnlyWhatIsPublished(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	var last atomicdir.Result
	for n := range 5 {
		last = publish(t, d, numbered(n))
	}
	if err := d.Purge(); err != nil {
		t.Fatal(err)
	}
	if got := generations(t, dir); !slices.Equal(got, []string{last.Generation}) {
		t.Errorf("left: %q", got)
	}
	wantVisible(t, dir, map[string]string{"n": "4"})
}

func TestReplacedGenerationsOutliveTheirWriter(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dir)
		publish(t, d, numbered(0))
		pinned, err := atomicdir.Pin(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer pinned.Close()
		publish(t, d, numbered(1))
		d.Close()
		if err := os.Mkdir(dir+"/..2030_01_01_00_00_00.999", 0o700); err != nil { // never published
			t.Fatal(err)
		}
		open(t, dir)
		if got, err := pinned.ReadFile("n"); err != nil || string(got) != "0" {
			t.Errorf("after the restart: %q, %v", got, err)
		}
		if got := generations(t, dir); len(got) != 2 {
			t.Errorf("remains of a crash: %q", got)
		}
		time.Sleep(atomicdir.Grace + time.Millisecond)
		synctest.Wait()
		if got := generations(t, dir); len(got) != 1 {
			t.Errorf("after the grace: %q", got)
		}
	})
}

// TestPublishedBytesAreLetGo holds that a Dir keeps no content in memory: a node has
// hundreds of them.
func TestPublishedBytesAreLetGo(t *testing.T) {
	d := open(t, t.TempDir())
	data := make([]byte, 1<<20)
	held := weak.Make(&data[0])
	publish(t, d, atomicdir.Tree{Files: []atomicdir.File{{Path: "big", Data: data, Mode: 0o644}}})
	data = nil
	for range 5 {
		runtime.GC()
	}
	if held.Value() != nil {
		t.Error("a published tree is still in memory")
	}
	runtime.KeepAlive(d)
}
