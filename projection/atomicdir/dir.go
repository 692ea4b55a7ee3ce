package atomicdir

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	dataLink = "..data"
	tmpLink  = "..data_tmp"
)

var errClosed = fmt.Errorf("publishing: %w", fs.ErrClosed)

// Options of a directory. The zero value is right outside tests.
type Options struct {
	// Clock stamps generations and times their removal; nil is the system's.
	Clock clock.WithDelayedExecution
}

// Dir publishes trees into one directory. There must be one Dir, in one process, for
// a directory. Its methods may be called concurrently; they take turns.
type Dir struct {
	ops   ops
	clock clock.WithDelayedExecution

	turn   sync.Mutex // guards seq and next
	seq    uint64
	next   ticket     // the latest tree handed in and not given up
	ids    ids        // who owns what a tree gives to nobody
	mu     sync.Mutex // guards everything below, and the directory
	closed bool

	current string            // the published generation, "" before the first
	sum     [sha256.Size]byte // digest of what current shall hold, zero when not known
	found   [sha256.Size]byte // digest of what Open found, where sum is not known
	staged  staged
	last    uint64     // highest generation number in use
	old     []replaced // oldest first
	timer   clock.Timer
	done    uint64 // highest ticket that is published
	result  Result
	untold  bool // files changed in a publication that waits for its end
}

// ticket is one call's tree; a higher number is a later call.
type ticket struct {
	seq  uint64
	plan *plan
}

// Result says what a publication did.
type Result struct {
	// Changed is true when ..data points at a new generation.
	Changed bool
	// Generation is the name of the generation that ..data points at.
	Generation string
	// Covered are the first segments of paths that are published and cannot be seen,
	// because an entry that is no link of the Dir's is in the place of their link.
	Covered []string
	// RetryAfter, set by TryPublish alone, is how long to wait before the publication can
	// go on. Changed then waits for its end too, also where the files are visible already
	// and only links are missing.
	RetryAfter time.Duration
}

// Open takes over the directory at path, which must exist, and removes what a crash
// of an earlier writer left in it. Nothing that is published changes.
func Open(path string, options Options) (*Dir, error) {
	return open(path, options, nil)
}

func open(path string, options Options, before func(op, name string) error) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening directory for publishing: %w", err)
	}
	d := &Dir{ops: ops{root: root, before: before}, clock: options.Clock}
	if d.clock == nil {
		d.clock = clock.RealClock{}
	}
	info, err := root.Stat(".")
	if err == nil {
		d.ids = inherited(info)
		err = d.adopt()
	}
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("recovering %s: %w", path, err)
	}
	return d, nil
}

// Publish makes the directory hold exactly tree. It returns after the change is
// visible, or leaves what is published as it was. Content, mode and owner that are
// the same already are not written again, but links that somebody removed are put
// back. When the limits of [Grace] and [MaxReplaced] meet, it waits; if a later call
// hands in another tree meanwhile, that one is published in place of both. It waits
// too when the file system is full, as long as replaced generations take room that
// their removal will free.
//
// An error after the change (a link that could not be made) comes with
// Result.Changed set; publishing the same tree again finishes the work. The error of
// a tree with a bad path wraps [ErrPath]. A call that ctx ends may return late and
// does not publish afterwards.
func (d *Dir) Publish(ctx context.Context, tree Tree) (Result, error) {
	t, err := d.enter(tree)
	if err != nil {
		return Result{}, err
	}
	for {
		result, err := d.attempt(t)
		if err != nil || result.RetryAfter == 0 {
			return result, err
		}
		if err := d.sleep(ctx, result.RetryAfter); err != nil {
			d.leave(t)
			return Result{}, err
		}
	}
}

// TryPublish is Publish without the wait: Result.RetryAfter tells when to call again.
func (d *Dir) TryPublish(tree Tree) (Result, error) {
	t, err := d.enter(tree)
	if err != nil {
		return Result{}, err
	}
	result, err := d.attempt(t)
	if result.RetryAfter > 0 {
		d.leave(t)
	}
	return result, err
}

// Close removes what is staged, ends the removal of replaced generations and gives
// the directory back. What is published stays.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	if d.timer != nil {
		d.timer.Stop()
	}
	return errors.Join(d.unstage(), d.ops.root.Close())
}

// Pin opens the generation that is published in dir now. All reads through it see
// one publication; they work for at least [Grace] after the next one.
func Pin(dir string) (*os.Root, error) {
	return os.OpenRoot(filepath.Join(dir, dataLink))
}

func (d *Dir) enter(tree Tree) (ticket, error) {
	p, err := newPlan(tree, d.ids)
	if err != nil {
		return ticket{}, err
	}
	d.turn.Lock()
	defer d.turn.Unlock()
	d.seq++
	d.next = ticket{d.seq, p}
	return d.next, nil
}

// leave lets go of a tree that is published or whose caller gave up.
func (d *Dir) leave(t ticket) {
	d.turn.Lock()
	defer d.turn.Unlock()
	if d.next.seq == t.seq {
		d.next = ticket{}
	}
}

// attempt publishes the latest tree if t is not out of date and there is room.
func (d *Dir) attempt(t ticket) (Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return Result{}, errClosed
	}
	if d.done >= t.seq {
		return d.result, nil
	}
	d.turn.Lock()
	if d.next.seq > t.seq {
		t = d.next
	}
	d.turn.Unlock()

	if d.unchanged(t.plan) {
		return d.settle(t, false)
	}
	if wait := d.room(); wait > 0 {
		return Result{RetryAfter: wait}, nil
	}
	if err := d.replace(t.plan); err != nil {
		d.schedule()
		if wait := d.full(err); wait > 0 {
			return Result{Generation: d.current, RetryAfter: wait}, nil
		}
		return Result{Generation: d.current}, err
	}
	return d.settle(t, true)
}

// unchanged tells whether p is what is published. It reads the files only if nothing
// already known says otherwise.
func (d *Dir) unchanged(p *plan) bool {
	return d.current != "" && (d.sum == [sha256.Size]byte{} || d.sum == p.sum) &&
		d.published() == d.current && d.holds(d.current, p)
}

// replace writes p, unless it is staged, and swaps it in. Before the swap it undoes
// all on error.
func (d *Dir) replace(p *plan) (err error) {
	name := d.promote(p)
	if name == "" {
		name, err = d.write(p, generationPrefix)
	}
	if err == nil {
		err = d.point(name)
	}
	if err != nil {
		if name != "" {
			err = errors.Join(err, d.discard(name))
		}
		return fmt.Errorf("publishing: %w", err)
	}
	if d.current != "" {
		d.old = append(d.old, replaced{name: d.current, at: d.clock.Now()})
	}
	d.current, d.sum = name, p.sum
	return nil
}

// discard removes a generation that was not published, later if not now.
func (d *Dir) discard(name string) error {
	err := d.ops.removeTree(name)
	if err != nil {
		d.old = append(d.old, replaced{name: name, at: d.clock.Now(), stuck: true})
	}
	return err
}

// point makes ..data lead to the generation name.
func (d *Dir) point(name string) error {
	err := d.ops.symlink(name, tmpLink)
	if errors.Is(err, fs.ErrExist) {
		if err := d.ops.removeTree(tmpLink); err != nil {
			return err
		}
		err = d.ops.symlink(name, tmpLink)
	}
	if err != nil {
		return err
	}
	if err := swap(d.ops, tmpLink); err != nil {
		return errors.Join(err, d.ops.remove(tmpLink))
	}
	return nil
}

// settle brings the root links in line with what is published.
func (d *Dir) settle(t ticket, changed bool) (Result, error) {
	d.sum = t.plan.sum
	d.leave(t) // the tree's bytes are not needed any more
	d.schedule()
	d.untold = d.untold || changed
	result := Result{Changed: d.untold, Generation: d.current}
	covered, err := d.link(t.plan)
	result.Covered = covered
	if err := errors.Join(err, d.unlink(t.plan)); err != nil {
		if wait := d.full(err); wait > 0 {
			return Result{Generation: d.current, RetryAfter: wait}, nil
		}
		d.untold = false
		return result, fmt.Errorf("publishing: links: %w", err)
	}
	d.done, d.result, d.untold = t.seq, result, false
	return result, nil
}

func (d *Dir) sleep(ctx context.Context, wait time.Duration) error {
	over := make(chan struct{})
	timer := d.clock.AfterFunc(wait, func() { close(over) })
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("publishing: waiting for readers of replaced generations: %w", context.Cause(ctx))
	case <-over:
		return nil
	}
}

func slashed(p string) string { return filepath.ToSlash(p) }
