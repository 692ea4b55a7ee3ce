package job

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	batchv1 "k8s.io/api/batch/v1"

	"laterna.dev/laterna/internal/controller/workload"
	"laterna.dev/laterna/internal/indexes"
)

// maxAtOnce is how many pods are made, deleted or counted at one look at a job.
const maxAtOnce = 500

// plan is what is to be done with the pods of a job.
type plan struct {
	// end is why the job is to end; nil where it goes on.
	end *batchv1.JobCondition
	// remove are pods to be deleted. Where the job goes on they are not to be counted.
	remove []*corev1.Pod
	create []*corev1.Pod
	// again is when to look again; 0 where nothing but an event calls for it.
	again time.Duration
}

// decide says what to do with the pods.
func (l *look) decide() plan {
	p := plan{end: l.ending()}
	switch {
	case p.end != nil:
		p.remove = l.active
	case l.job.DeletionTimestamp != nil:
		// Its pods go with it.
	case l.isSuspended():
		p.remove = l.active
	default:
		p.remove = l.excess()
		if len(p.remove) == 0 {
			p.create, p.again = l.missing()
		}
	}
	if left, ok := l.deadline(); ok && p.end == nil {
		p.again = sooner(p.again, left)
	}
	p.remove = p.remove[:min(len(p.remove), maxAtOnce)]
	return p
}

// sooner is the shorter of two waits, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// wanted is how many pods are to be active.
func (l *look) wanted() int {
	parallelism := int(ptr.Deref(l.job.Spec.Parallelism, 1))
	switch n := l.succeededCount(); {
	case l.job.Spec.Completions != nil:
		return max(min(parallelism, int(*l.job.Spec.Completions)-n), 0)
	case n > 0:
		return len(l.active) // those of a work queue end by themselves
	}
	return parallelism
}

// excess are the pods that are active and not wanted: without a place among the indexes,
// the second of an index, and those of which least is lost.
func (l *look) excess() []*corev1.Pod {
	pods := slices.Clone(l.active)
	slices.SortStableFunc(pods, leastFirst)
	var without, rest []*corev1.Pod
	if isIndexed(l.job) {
		taken := map[int]bool{}
		for _, p := range slices.Backward(pods) {
			ix := indexOf(p)
			if !l.hasPlace(p) || taken[ix] || l.completed.Has(ix) || l.failed.Has(ix) {
				without = append(without, p)
				continue
			}
			taken[ix] = true
			rest = append(rest, p)
		}
		slices.Reverse(rest)
	} else {
		rest = pods
	}
	more := len(rest) - l.wanted()
	return append(without, rest[:max(more, 0)]...)
}

// leastFirst orders pods by how much is lost with them: those that have no node, have not
// started, are not ready, have been for the shortest time, were restarted most, are the
// youngest.
func leastFirst(a, b *corev1.Pod) int {
	phases := map[corev1.PodPhase]int{corev1.PodPending: 0, "": 0, corev1.PodUnknown: 1, corev1.PodRunning: 2}
	sinceA, readyA := workload.Ready(a)
	sinceB, readyB := workload.Ready(b)
	return cmp.Or(
		falseFirst(a.Spec.NodeName != "", b.Spec.NodeName != ""),
		cmp.Compare(phases[a.Status.Phase], phases[b.Status.Phase]),
		falseFirst(readyA, readyB),
		sinceB.Compare(sinceA),
		cmp.Compare(restarts(b), restarts(a)),
		b.CreationTimestamp.Compare(a.CreationTimestamp.Time),
		cmp.Compare(a.Name, b.Name),
	)
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// missing are the pods to be made, or how long to wait before.
func (l *look) missing() (create []*corev1.Pod, again time.Duration) {
	n := l.wanted() - len(l.active)
	if waitsForEnds(l.job) {
		n -= l.terminating
	}
	n = min(n, maxAtOnce)
	if n <= 0 {
		return nil, 0
	}
	if !limitsIndexes(l.job) {
		now := l.before.with(l.newSucceeded, l.newFailed, l.ended)
		if left := now.left(l.now); left > 0 {
			return nil, left
		}
	}
	if !isIndexed(l.job) {
		for range n {
			create = append(create, newPod(l.job))
		}
		return create, 0
	}
	for _, ix := range l.taken().Missing(l.completions, n+len(l.delayed)) {
		if len(create) == n {
			break
		}
		before := l.delayed[ix]
		if before != nil {
			left := backoff{tries(before) + 1, l.ended(before)}.left(l.now)
			if left > 0 {
				again = sooner(again, left)
				continue
			}
		}
		create = append(create, l.newIndexedPod(ix, before))
	}
	return create, again
}

// taken is the set of the indexes for which no pod is to be made.
func (l *look) taken() indexes.Set {
	var busy []int
	for _, p := range l.pods {
		if l.hasPlace(p) && (workload.Active(p) || waitsForEnds(l.job) && workload.Terminating(p)) {
			busy = append(busy, indexOf(p))
		}
	}
	return l.completed.With(l.failed).With(indexes.Of(busy))
}
