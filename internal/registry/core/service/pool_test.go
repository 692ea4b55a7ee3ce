package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// ledger is an update function over one object in memory. Before each change it lets
// conflict run, once, and then asks again, as the store does for the slower of two
// servers.
type ledger struct {
	mu       sync.Mutex
	object   corev1.RangeAllocation
	conflict func()
}

func (b *ledger) update(_ context.Context, _ string, change func(*corev1.RangeAllocation) error) error {
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

func testPool(size int, b *ledger, used ...int) *pool {
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
	b := &ledger{}
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
	b := &ledger{}
	p, rival := testPool(8, b), testPool(8, &ledger{})
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
	p := testPool(10, &ledger{})
	p.static = 4
	var order []int
	for range 10 {
		order = append(order, pickOne(t, p))
	}
	low := order[6:]
	slices.Sort(low)
	if !slices.Equal(low, []int{0, 1, 2, 3}) {
		t.Errorf("handed out %v: the last four should be 0 to 3", order)
	}
}

func TestPoolRebuildsABookOfAnotherRange(t *testing.T) {
	b := &ledger{object: corev1.RangeAllocation{Range: "another", Data: []byte{0xff, 0xff}}}
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
	b := &ledger{}
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
		if _, err := p.repair(t.Context()); err != nil || !slices.Equal(taken(), want) {
			t.Errorf("after repair %d: %v taken, want %v, %v", i+1, taken(), want, err)
		}
	}
}

func TestDryRunsLeaveTheBook(t *testing.T) {
	b := &ledger{}
	p := testPool(8, b)
	if err := p.try(t.Context(), true, func(bits bitmap) error { bits.set(1); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(b.object.Data) != 0 {
		t.Errorf("a dry run stored %v", b.object.Data)
	}
}
