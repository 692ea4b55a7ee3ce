package up

import (
	"time"

	"laterna.dev/laterna/internal/clock"
)

// clocks are the times that the parts of a system go by.
type clocks struct {
	wall clock.Wall
	// system is the test clock: wall time until somebody advances it.
	system *clock.Clock
	// agent is what the agent takes for it.
	agent *clock.Clock
	// settled is closed once the stored offset is applied; nil without a test clock.
	settled chan struct{}
}

// newClocks returns the clocks of a system whose agent is ahead of it by skew.
func newClocks(wall clock.Wall, skew time.Duration, testClock bool) clocks {
	c := clocks{wall: wall, system: clock.New(wall)}
	c.agent = c.system
	if skew != 0 {
		c.agent = clock.New(c.system) // it moves with the system's
		c.agent.SetOffset(skew)
	}
	if testClock {
		c.settled = make(chan struct{})
	}
	return c
}

// settle returns what is called once the stored offset is applied; nil without a test clock.
func (c clocks) settle() func() {
	if c.settled == nil {
		return nil
	}
	return func() { close(c.settled) }
}
