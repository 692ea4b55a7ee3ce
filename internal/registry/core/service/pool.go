package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
)

var errFull = errors.New("range is full")

// updateFunc changes the RangeAllocation at a key, creating it when missing. It
// calls change again when another server was faster, so that change must have no
// effect but on its argument. A nil error means that the change is stored.
type updateFunc func(ctx context.Context, key string, change func(*corev1.RangeAllocation) error) error

// pool hands out the numbers 0 to size-1, each to one service. The books are in
// the store; a pool itself remembers only what looked leaked at the last repair,
// which makes repair the one method that must not run twice at a time.
type pool struct {
	key    string
	name   string // what the numbers stand for, such as "30000-32767"
	size   int
	static int // numbers below are handed out unasked only when all others are taken
	update updateFunc
	// used lists the numbers that stored services hold.
	used func(ctx context.Context) ([]int, error)
	// suspects were taken and used by no service at the last repair.
	suspects map[int]bool
}

// change runs f on the pool's bitmap and stores the result. A missing book, or one
// of another range, is first rebuilt from the stored services.
func (p *pool) change(ctx context.Context, f func(bits bitmap) error) error {
	return p.update(ctx, p.key, func(r *corev1.RangeAllocation) error {
		bits, err := p.open(ctx, r)
		if err != nil {
			return err
		}
		if err := f(bits); err != nil {
			return err
		}
		r.Range, r.Data = p.name, bits
		return nil
	})
}

// errDry ends a dry run of change before anything is stored.
var errDry = errors.New("dry run")

// try is change, or with dry a change that is not stored.
func (p *pool) try(ctx context.Context, dry bool, f func(bits bitmap) error) error {
	err := p.change(ctx, func(bits bitmap) error {
		if err := f(bits); err != nil || !dry {
			return err
		}
		return errDry
	})
	if errors.Is(err, errDry) {
		return nil
	}
	return err
}

func (p *pool) open(ctx context.Context, r *corev1.RangeAllocation) (bitmap, error) {
	bits := newBitmap(p.size)
	if r.Range == p.name {
		copy(bits, r.Data)
		return bits, nil
	}
	used, err := p.used(ctx)
	if err != nil {
		return nil, fmt.Errorf("rebuilding the allocations of %s: %w", p.name, err)
	}
	for _, n := range used {
		bits.set(n)
	}
	return bits, nil
}

// pick returns a free number, at random so that a number just given back is not
// soon in other hands, and marks it as taken.
func (p *pool) pick(bits bitmap) (int, error) {
	for _, band := range [][2]int{{p.static, p.size}, {0, p.static}} {
		first, width := band[0], band[1]-band[0]
		if width <= 0 {
			continue
		}
		start := rand.IntN(width)
		for i := range width {
			if n := first + (start+i)%width; !bits.has(n) {
				bits.set(n)
				return n, nil
			}
		}
	}
	return 0, errFull
}

// release gives numbers back.
func (p *pool) release(ctx context.Context, numbers []int) error {
	if len(numbers) == 0 {
		return nil
	}
	return p.change(ctx, func(bits bitmap) error {
		for _, n := range numbers {
			bits.clear(n)
		}
		return nil
	})
}

// repair brings the books in line with the stored services. A taken number that no
// service uses is freed only when it looked so twice, because the service that it
// was taken for may just be on its way into the store. It returns the numbers that services
// hold and that were not taken.
func (p *pool) repair(ctx context.Context) (missing []int, err error) {
	numbers, err := p.used(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the holders of %s: %w", p.name, err)
	}
	used := newBitmap(p.size)
	for _, n := range numbers {
		used.set(n)
	}
	var suspects map[int]bool
	err = p.change(ctx, func(bits bitmap) error {
		suspects, missing = map[int]bool{}, nil
		for n := range p.size {
			switch {
			case used.has(n) && !bits.has(n):
				missing = append(missing, n)
				bits.set(n)
			case used.has(n):
			case bits.has(n) && p.suspects[n]:
				bits.clear(n)
			case bits.has(n):
				suspects[n] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("repairing the allocations of %s: %w", p.name, err)
	}
	p.suspects = suspects
	return missing, nil
}

// bitmap holds one bit for each number of a pool.
type bitmap []byte

func newBitmap(size int) bitmap { return make(bitmap, (size+7)/8) }

func (b bitmap) in(n int) bool { return n >= 0 && n/8 < len(b) }
func (b bitmap) has(n int) bool {
	return b.in(n) && b[n/8]&(1<<(n%8)) != 0
}

func (b bitmap) set(n int) {
	if b.in(n) {
		b[n/8] |= 1 << (n % 8)
	}
}

func (b bitmap) clear(n int) {
	if b.in(n) {
		b[n/8] &^= 1 << (n % 8)
	}
}
