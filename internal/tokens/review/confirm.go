package review

import (
	"context"
	"sync"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/wait"
)

const (
	// confirmPause is the time between two reads of a confirmation: whoever sends
	// tokens that are no good must not make the server read all the time.
	confirmPause = 50 * time.Millisecond
	// confirmTimeout bounds one read.
	confirmTimeout = 10 * time.Second
)

// confirmation brings something up to date before a token is refused for it. Those who
// ask at the same time share a read that began after each of them asked, as what another
// server stored may be younger than the last one.
type confirmation struct {
	clock clock.Wall
	read  func(ctx context.Context) // nil does nothing

	mu   sync.Mutex
	next chan struct{} // closed at the end of a read that has not begun; nil when nobody waits
	last time.Time     // when the last read began
}

// wait returns once read has been called and has returned, or ctx ends.
func (c *confirmation) wait(ctx context.Context) {
	if c.read == nil {
		return
	}
	c.mu.Lock()
	if c.next == nil {
		c.next = make(chan struct{})
		// The read is others' too.
		go c.run(context.WithoutCancel(ctx), c.next, confirmPause-c.clock.Since(c.last))
	}
	done := c.next
	c.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (c *confirmation) run(ctx context.Context, done chan struct{}, pause time.Duration) {
	defer close(done)
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	wait.Pause(ctx, c.clock, pause)
	c.mu.Lock()
	c.next, c.last = nil, c.clock.Now()
	c.mu.Unlock()
	c.read(ctx)
}
