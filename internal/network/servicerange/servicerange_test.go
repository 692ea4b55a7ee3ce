package servicerange

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/rtnl"
)

var pods = netip.MustParsePrefix("10.244.0.0/16")

// machine is where several systems run, apart from those of this machine.
type machine struct{ base string }

func newMachine(t *testing.T) machine {
	return machine{t.TempDir()}
}

// system is one of the machine's, before it has chosen its pods' subnet.
func (m machine) system(t *testing.T, name string) Config {
	t.Helper()
	dir := datadir.Dir{Path: filepath.Join(m.base, "data", name), Hash: name, RunDir: filepath.Join(m.base, "run", name)}
	for _, d := range []string{dir.Path, dir.RunDir} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return Config{Dir: dir, Pods: pods, Routed: true}
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c Config) chosen(t *testing.T) string {
	t.Helper()
	p, err := Choose(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return p.String()
}

func TestSystemsOfAMachineHaveRangesOfTheirOwn(t *testing.T) {
	m := newMachine(t)
	const systems = 5
	var all sync.Map
	var wg sync.WaitGroup
	for i := range systems {
		c := m.system(t, string(rune('a'+i)))
		wg.Go(func() {
			p, err := Choose(t.Context(), c)
			if err != nil {
				t.Error(err)
			}
			if other, twice := all.LoadOrStore(p, c.Dir.Hash); twice {
				t.Errorf("%s and %s have %s", c.Dir.Hash, other, p)
			}
			if again, err := Choose(t.Context(), c); err != nil || again != p {
				t.Errorf("at the next start %s, %v", again, err)
			}
		})
	}
	wg.Wait()
	routes, err := rtnl.Routes()
	if err != nil {
		t.Fatal(err)
	}
	all.Range(func(key, _ any) bool {
		for _, r := range routes {
			if r.Dst.Bits() > 0 && r.Dst.Overlaps(key.(netip.Prefix)) {
				t.Errorf("%s shares addresses with the route to %s", key, r.Dst)
			}
		}
		return true
	})
}

func TestWhatWasChosenStays(t *testing.T) {
	m := newMachine(t)
	one, two := m.system(t, "a"), m.system(t, "b")
	was := one.chosen(t)
	// After a reboot nobody knows of the first, and the second takes its range.
	if err := os.RemoveAll(one.Dir.RunDir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(one.Dir.RunDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := two.chosen(t); got != was {
		t.Errorf("a free range is %s, got %s", was, got)
	}
	if got := one.chosen(t); got != was {
		t.Errorf("from %s to %s", was, got)
	}
	one.Asked = netip.MustParsePrefix("172.30.4.1/16")
	if got := one.chosen(t); got != "172.30.0.0/16" {
		t.Errorf("asked for %s, got %s", one.Asked, got)
	}
	one.Asked = netip.Prefix{}
	if got := one.chosen(t); got != "172.30.0.0/16" {
		t.Errorf("once asked for 172.30.0.0/16, then %s", got)
	}
	one.Pods = netip.MustParsePrefix("172.16.0.0/12")
	if got := one.chosen(t); got == "172.30.0.0/16" {
		t.Error("the range has addresses of pods")
	}
}

func TestOldDataDirectoriesKeepTheirRange(t *testing.T) {
	m := newMachine(t)
	m.system(t, "a").chosen(t)
	old := m.system(t, "b")
	put(t, old.Dir.Kubeconfig(), "")
	if got := old.chosen(t); got != Default().String() {
		t.Errorf("a data directory without a memory has %s", got)
	}
}

func TestRemovedDataDirectoriesFreeTheirRange(t *testing.T) {
	m := newMachine(t)
	one := m.system(t, "a")
	was := one.chosen(t)
	if err := os.RemoveAll(one.Dir.Path); err != nil {
		t.Fatal(err)
	}
	if got := m.system(t, "b").chosen(t); got != was {
		t.Errorf("%s is free, got %s", was, got)
	}
}

func TestWithoutRoutesAnyRangeWillDo(t *testing.T) {
	m := newMachine(t)
	m.system(t, "a").chosen(t)
	alone := m.system(t, "b")
	alone.Routed = false
	if got := alone.chosen(t); got != Default().String() {
		t.Errorf("got %s", got)
	}
	if _, err := os.Stat(filepath.Join(alone.Dir.RunDir, reservation)); err == nil {
		t.Error("a range that is not routed is reserved")
	}
	if p, err := Shared(netip.MustParsePrefix("10.96.0.0/12")); err != nil || p.String() != "10.112.0.0/16" {
		t.Errorf("beside pods in 10.96.0.0/12: %s, %v", p, err)
	}
}

func TestLookingChangesNothing(t *testing.T) {
	m := newMachine(t)
	c := m.system(t, "a")
	seen, err := Look(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.memory()); err == nil {
		t.Error("looking remembers")
	}
	if got := c.chosen(t); got != seen.String() {
		t.Errorf("saw %s, chose %s", seen, got)
	}
}

// TestSystemsOfOlderVersions have rules and no reservation. There are none of these here:
// the kernel is asked, and knows no table that refuses the range.
func TestSystemsOfOlderVersions(t *testing.T) {
	m := newMachine(t)
	old, c := m.system(t, "a"), m.system(t, "b")
	put(t, filepath.Join(old.Dir.RunDir, subnet), "10.244.9.0/24\n")
	if _, silent, err := c.others(); err != nil || !silent {
		t.Errorf("its rules are not looked for: %v", err)
	}
	c.chosen(t)
	old.chosen(t)
	if taken, silent, err := c.others(); err != nil || silent || len(taken) != 1 {
		t.Errorf("once it has a reservation: %v, %v, %v", taken, silent, err)
	}
}

func TestTroubles(t *testing.T) {
	m := newMachine(t)
	c := m.system(t, "a")
	c.chosen(t)
	put(t, c.memory(), "nonsense")
	if _, err := Choose(t.Context(), c); err == nil || !strings.Contains(err.Error(), c.memory()) {
		t.Errorf("a spoiled memory: %v", err)
	}
	if _, err := first([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}); err == nil || !strings.Contains(err.Error(), "--service-cluster-ip-range") {
		t.Errorf("nothing free: %v", err)
	}
	if p, err := first([]netip.Prefix{netip.MustParsePrefix("10.96.3.0/24"), netip.MustParsePrefix("10.97.0.0/16")}); err != nil || p.String() != "10.98.0.0/16" {
		t.Errorf("got %s, %v", p, err)
	}
}
