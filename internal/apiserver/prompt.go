package apiserver

import (
	"time"

	"laterna.dev/laterna/internal/clock"
)

const (
	// libraryPeriod is how long a watch cache of the library waits between two
	// questions to the store how far it is. A list or a watch that must be as
	// fresh as the store waits for the answer, so one that follows another closely
	// takes that long.
	libraryPeriod = 100 * time.Millisecond
	// promptPeriod is what we make of it. A question is one small message on an
	// open stream, asked only while somebody waits.
	promptPeriod = 2 * time.Millisecond
)

// promptClock is the wall clock for watch caches, with timers of libraryPeriod
// shortened to promptPeriod.
type promptClock struct{ clock.Wall }

// NewTimer implements clock.Clock.
func (c promptClock) NewTimer(d time.Duration) clock.Timer {
	return promptTimer{c.Wall.NewTimer(prompt(d))}
}

type promptTimer struct{ clock.Timer }

// Reset implements clock.Timer.
func (t promptTimer) Reset(d time.Duration) bool { return t.Timer.Reset(prompt(d)) }

func prompt(d time.Duration) time.Duration {
	if d == libraryPeriod {
		return promptPeriod
	}
	return d
}
