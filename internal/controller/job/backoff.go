package job

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Pauses before a pod is made in the place of one that failed.
const (
	firstPause = 10 * time.Second
	lastPause  = 10 * time.Minute
)

// pause is how long to wait after so many failures in a row.
func pause(failures int) time.Duration {
	d := firstPause
	for i := 1; i < failures && d < lastPause; i++ {
		d *= 2
	}
	return min(d, lastPause)
}

// backoff is how a job failed since a pod of it succeeded.
type backoff struct {
	failures int
	last     time.Time
}

// with is the backoff after more pods have ended.
func (b backoff) with(succeeded, failed []*corev1.Pod, ended func(*corev1.Pod) time.Time) backoff {
	type end struct {
		at time.Time
		ok bool
	}
	var all []end
	for _, p := range succeeded {
		all = append(all, end{ended(p), true})
	}
	for _, p := range failed {
		all = append(all, end{ended(p), false})
	}
	slices.SortStableFunc(all, func(a, b end) int { return a.at.Compare(b.at) })
	for _, e := range all {
		if e.ok {
			b = backoff{}
		} else {
			b = backoff{b.failures + 1, e.at}
		}
	}
	return b
}

// left is how long to wait still.
func (b backoff) left(now time.Time) time.Duration {
	if b.failures == 0 {
		return 0
	}
	return max(b.last.Add(pause(b.failures)).Sub(now), 0)
}
