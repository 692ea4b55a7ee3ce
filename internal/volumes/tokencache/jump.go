package tokencache

import (
	"time"

	"laterna.dev/laterna/internal/wait"
)

const (
	// lookEvery is how often the clock is compared with the time that passes.
	lookEvery = 5 * time.Second
	// jumped is by how much the two differ when the clock was set.
	jumped = time.Second
)

// watchClock looks at all tokens anew when the clock was set, or when the machine slept:
// timers wait as long as they were told to, and nothing else would tell that a token is
// from the future now, which those who verify refuse.
func (c *Cache) watchClock() {
	// Without the monotonic reading, by which wall time would not seem to jump.
	wall, now := c.wall.Now(), c.clock.Now().Round(0)
	for wait.Pause(c.ctx, c.wall, lookEvery) {
		wallThen, then := wall, now
		wall, now = c.wall.Now(), c.clock.Now().Round(0)
		if by := now.Sub(then) - wall.Sub(wallThen); by.Abs() >= jumped {
			c.log.Info("the clock was set, looking at all tokens", "by", by)
			c.scheduleAll(now)
		}
	}
}

// scheduleAll sets the timers of all tokens for a clock that shows now.
func (c *Cache) scheduleAll(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		if e.have && e.tries == 0 {
			c.schedule(e, now)
		}
	}
}
