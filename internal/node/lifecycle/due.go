package lifecycle

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

// Memory is what must be remembered of a container beside what the runtime knows.
type Memory struct {
	// Hash is of the spec that the rest is about.
	Hash    string
	Restart Backoff
	// Retry delays what failed before a container existed.
	Retry Retry
}

// Remember returns what is remembered of a container of this spec. A spec that has
// changed begins anew; what an earlier agent remembered is told from the newest
// container, nil when there is none. onClock is the agent's clock at a moment of real
// time.
func (m Memory) Remember(c *corev1.Container, newest *cri.Container, onClock func(time.Time) time.Time) (now Memory, anew bool) {
	hash := Hash(c)
	if m.Hash == hash {
		return m, false
	}
	now = Memory{Hash: hash}
	if newest != nil && newest.Annotations[AnnotationHash] == hash {
		now.Restart = Restored(newest.Attempt, onClock(newest.CreatedAt))
	}
	return now, true
}

// Wait is how long a container that is to be started must wait.
type Wait struct {
	// Left is zero when it may be started now.
	Left time.Duration
	// Crashed is the container whose end it waits after, nil when it waits for another
	// reason.
	Crashed *cri.Container
}

// Due returns how long a container must wait: for its back-off when it has ended, and
// for its pause after a failure. One that is to be replaced waits for no back-off.
func Due(c Start, m Memory, r *Runtime, replace Replace, now time.Time) Wait {
	w := Wait{Left: max(m.Retry.Until.Sub(now), 0)}
	newest := r.Newest(c.Spec.Name)
	if newest == nil || replace.Wants(newest) {
		return w
	}
	ended, dead := r.Ended[newest.ID]
	if !dead {
		return w
	}
	if left := m.Restart.Wait(ended, now); left > 0 {
		w.Left, w.Crashed = max(w.Left, left), newest
	}
	return w
}
