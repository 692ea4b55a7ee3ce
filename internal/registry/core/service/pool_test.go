package service

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// book is an update function over one object in memory. Before each change it lets
// conflict run, once, and then asks again, as the store does for the slower of two
// servers.
type book struct {
	mu       sync.Mutex
	object   corev1.RangeAllocation
	conflict func()
}

func (b *book) update(_ context.Context, _ string, change func(*corev1.RangeAllocation) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conflict != nil {
		if err := change(b.object.DeepCopy()); err != nil {
			return err
		}
		b.conflict()
		b.conflict = nil
	}
	next := b.object.DeepCopy()
	if err := change(next); err != nil {
		return err
	}
	b.object = *next
	return nil
}

func testPool(size int, b *book, used ...int) *pool {
	return &pool{key: "k", name: fmt.Sprint("0-", size), size: size, update: b.update, used: func(context.Context) ([]int, error) { return used, nil }}
}

func pickOne(t *testing.T, p *pool) int {
	t.Helper()
	var n int
	if err := p.change(t.Context(), func(bits bitmap) (err error) { n, err = p.pick(bits); return err }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPoolsOfSeveralServersAgree(t *testing.T) {
	const size = 200
	b := &book{}
	var mu sync.Mutex
	seen := map[int]int{}
	var wg sync.WaitGroup
	for range 4 {
		p := testPool(size, b)
		wg.Go(func() {
			for range size / 4 {
				n := pickOne(t, p)
				mu.Lock()
				seen[n]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for n, times := range seen {
		if times != 1 || n < 0 || n >= size {
			t.Errorf("%d was handed out %d times", n, times)
		}
	}
	p := testPool(size, b)
	err := p.change(t.Context(), func(bits bitmap) error { _, err := p.pick(bits); return err })
	if len(seen) != size || !errors.Is(err, errFull) {
		t.Errorf("%d of %d handed out, then %v", len(seen), size, err)
	}
	if err := p.release(t.Context(), []int{17}); err != nil {
		t.Fatal(err)
	}
	if n := pickOne(t, p); n != 17 {
		t.Errorf("the only free number is 17, got %d", n)
	}
}

func TestPoolLosesARace(t *testing.T) {
	b := &book{}
	p, rival := testPool(8, b), testPool(8, &book{})
	b.conflict = func() {
		// Another server takes all but one number between our two tries.
		bits := newBitmap(8)
		for n := range 7 {
			bits.set(n)
		}
		b.object = corev1.RangeAllocation{Range: rival.name, Data: bits}
	}
	if n := pickOne(t, p); n != 7 {
		t.Errorf("picked %d, which another server holds", n)
	}
}

func TestPoolKeepsSomeNumbersForThoseWhoNameThem(t *testing.T) {
	p := testPool(10, &book{})
	p.kept, p.static = 1, 4
	var order []int
	for range 9 {
		order = append(order, pickOne(t, p))
	}
	low := order[6:]
	slices.Sort(low)
	if !slices.Equal(low, []int{1, 2, 3}) {
		t.Errorf("handed out %v: the last three should be 1 to 3", order)
	}
	if err := p.change(t.Context(), func(bits bitmap) error { _, err := p.pick(bits); return err }); !errors.Is(err, errFull) {
		t.Errorf("number 0 was handed out unasked: %v", err)
	}
}

func TestPoolRebuildsABookOfAnotherRange(t *testing.T) {
	b := &book{object: corev1.RangeAllocation{Range: "another", Data: []byte{0xff, 0xff}}}
	p := testPool(16, b, 3, 5)
	err := p.change(t.Context(), func(bits bitmap) error {
		for n := range 16 {
			if bits.has(n) != (n == 3 || n == 5) {
				return fmt.Errorf("number %d: taken %v", n, bits.has(n))
			}
		}
		return nil
	})
	if err != nil || b.object.Range != p.name {
		t.Errorf("book of %q: %v", b.object.Range, err)
	}
}

func TestRepairFreesWhatLooksLeakedTwice(t *testing.T) {
	b := &book{}
	p := testPool(16, b, 3)
	if err := p.change(t.Context(), func(bits bitmap) error { bits.set(5); bits.clear(3); return nil }); err != nil {
		t.Fatal(err)
	}
	taken := func() []int {
		var numbers []int
		for n := range 16 {
			if bitmap(b.object.Data).has(n) {
				numbers = append(numbers, n)
			}
		}
		return numbers
	}
	for i, want := range [][]int{{3, 5}, {3}, {3}} {
		if err := p.repair(t.Context()); err != nil || !slices.Equal(taken(), want) {
			t.Errorf("after repair %d: %v taken, want %v, %v", i+1, taken(), want, err)
		}
	}
}

func TestDryRunsLeaveTheBook(t *testing.T) {
	b := &book{}
	p := testPool(8, b)
	if err := p.try(t.Context(), true, func(bits bitmap) error { bits.set(1); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(b.object.Data) != 0 {
		t.Errorf("a dry run stored %v", b.object.Data)
	}
}

func TestAddressNumbers(t *testing.T) {
	for _, tc := range []struct {
		prefix, first, last string
		size                int
	}{
		{"10.96.0.0/16", "10.96.0.1", "10.96.255.254", 65534},
		{"10.96.0.17/30", "10.96.0.17", "10.96.0.18", 2},
		{"10.0.0.0/8", "10.0.0.1", "10.0.255.254", 65534},
		{"fd00:96::/108", "fd00:96::1", "fd00:96::fffe", 65534},
	} {
		prefix := netip.MustParsePrefix(tc.prefix)
		p, err := newAddressPool(prefix, nil, nil)
		if err != nil || p.size != tc.size {
			t.Errorf("%s: %+v, %v", tc.prefix, p, err)
			continue
		}
		prefix = prefix.Masked()
		if got := addressOf(0, prefix).String(); got != tc.first || First(prefix).String() != tc.first {
			t.Errorf("%s: first address %s, want %s", tc.prefix, got, tc.first)
		}
		if got := addressOf(p.size-1, prefix).String(); got != tc.last {
			t.Errorf("%s: last address %s, want %s", tc.prefix, got, tc.last)
		}
		for _, n := range []int{0, 1, p.size - 1} {
			if got, ok := numberOf(addressOf(n, prefix), prefix); !ok || got != n {
				t.Errorf("%s: number %d comes back as %d, %v", tc.prefix, n, got, ok)
			}
		}
	}
	if _, err := newAddressPool(netip.MustParsePrefix("10.0.0.0/31"), nil, nil); err == nil {
		t.Error("a range of two addresses is accepted")
	}
}
