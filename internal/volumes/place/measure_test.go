package place_test

import (
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	testclock "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/place"
)

func TestAnEmptyDirThatOutgrowsItsLimit(t *testing.T) {
	wall := testclock.NewFakeClock(time.Now())
	var mu sync.Mutex
	var evicted []string
	b := newBenchWith(t, fakeapi.New(t), func(c *place.Config) {
		c.Wall = clock.WallOf(wall)
		c.Evict = func(pod *corev1.Pod, message string) {
			mu.Lock()
			defer mu.Unlock()
			evicted = append(evicted, pod.Name+": "+message)
		}
	})
	told := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(evicted)
	}
	// period lets one period go by; the next one is waited for once it is measured.
	period := func() {
		t.Helper()
		eventually(t, "a timer", wall.HasWaiters)
		wall.Step(10 * time.Second)
		eventually(t, "the next timer", wall.HasWaiters)
	}
	p := b.pod("p", one("emptyDir: {sizeLimit: 100Ki}"))
	free := b.pod("free", one("emptyDir: {}"))
	b.setup(p)
	b.setup(free)
	dir := b.mount(p)
	outside := t.TempDir()
	fill := func(path string, kib int) {
		t.Helper()
		if err := os.WriteFile(path, make([]byte, kib<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill(b.mount(free)+"/large", 1024)
	fill(outside+"/large", 1024)
	fill(dir+"/small", 40)
	if err := os.Symlink(outside, dir+"/link"); err != nil {
		t.Fatal(err)
	}
	period()
	period()
	if got := told(); len(got) > 0 {
		t.Errorf("evicted with 40 of 100 KiB: %q", got)
	}
	fill(dir+"/more", 80)
	period()
	eventually(t, "an eviction", func() bool { return len(told()) > 0 })
	if got, want := told()[0], `p: Usage of EmptyDir volume "v" exceeds the limit "100Ki". `; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	b.teardown(p)
	eventually(t, "no timer", func() bool { return !wall.HasWaiters() })
}
