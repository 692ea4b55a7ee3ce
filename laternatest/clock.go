package laternatest

import (
	"time"

	"laterna.dev/laterna/internal/controller/testclock"
)

// Advance moves the system's clock, with everything that lives by it: tokens, keys,
// issuers, and the agent's timers. A negative duration moves it back. It returns when the
// server has the new time. Certificates and the timestamps of objects stay on wall time.
func (s *System) Advance(d time.Duration) {
	s.t.Helper()
	if _, err := testclock.Advance(s.t.Context(), s.client, d); err != nil {
		s.t.Fatalf("advancing the clock of the system by %s: %v", d, err)
	}
}

// Now returns the time of the system.
func (s *System) Now() time.Time {
	s.t.Helper()
	offset, err := testclock.Advance(s.t.Context(), s.client, 0)
	if err != nil {
		s.t.Fatalf("reading the clock of the system: %v", err)
	}
	return time.Now().Add(offset)
}
