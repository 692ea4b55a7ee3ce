package job

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// memories are what is known of jobs beside what is stored. A program that starts anew
// waits less before it makes a pod again, and does nothing else differently.
type memories struct {
	mu sync.Mutex
	of map[types.UID]*memory
}

// memory is of one job, and used by whoever works on it.
type memory struct {
	backoff backoff
	// ended is when failed pods ended on the API's clock, by where that stood when they
	// were first seen so: it may have been moved since.
	ended map[types.UID]time.Time
}

func (m *memories) get(job types.UID) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of[job] == nil {
		m.of[job] = &memory{ended: map[types.UID]time.Time{}}
	}
	return m.of[job]
}

func (m *memories) forget(job types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.of, job)
}

// endOf is when a pod ended. ahead is how far the API's clock is ahead of real time.
func (m *memory) endOf(p *corev1.Pod, ahead time.Duration) time.Time {
	at, ok := m.ended[p.UID]
	if !ok {
		at = endOf(p).Add(ahead)
		m.ended[p.UID] = at
	}
	return at
}

// keep forgets pods that are not among these.
func (m *memory) keep(pods []*corev1.Pod) {
	if len(m.ended) == 0 {
		return
	}
	ended := map[types.UID]time.Time{}
	for _, p := range pods {
		if at, ok := m.ended[p.UID]; ok {
			ended[p.UID] = at
		}
	}
	m.ended = ended
}
