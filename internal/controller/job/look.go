package job

import (
	"math"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/controller/workload"
	"laterna.dev/laterna/internal/indexes"
)

// look is what the controller sees of a job at one moment, and what follows from it.
type look struct {
	job  *batchv1.Job // as it was read
	pods []*corev1.Pod
	now  time.Time // on the API's clock, as all times here
	// before is how the job failed so far.
	before backoff
	// ended is when a pod ended.
	ended func(p *corev1.Pod) time.Time

	completions int // of an indexed job
	active      []*corev1.Pod
	ready       int
	terminating int
	// newSucceeded and newFailed are pods that are held and have not been counted.
	newSucceeded, newFailed []*corev1.Pod
	// completed and failed are the indexes that are done, one way or the other.
	completed, failed indexes.Set
	// delayed has, of indexes that will be tried again, the pod that failed last: it
	// remembers how often, until another has taken its place.
	delayed map[int]*corev1.Pod
	// uncounted are pods of status.uncountedTerminatedPods.
	uncounted sets.Set[types.UID]
}

// see fills in what follows from the job and its pods.
func (l *look) see() {
	s := &l.job.Status
	l.uncounted = sets.New[types.UID]()
	if u := s.UncountedTerminatedPods; u != nil {
		l.uncounted.Insert(u.Succeeded...)
		l.uncounted.Insert(u.Failed...)
	}
	if isIndexed(l.job) {
		l.completions = int(ptr.Deref(l.job.Spec.Completions, 0))
		l.completed = readIndexes(s.CompletedIndexes).Below(l.completions)
		l.failed = readIndexes(ptr.Deref(s.FailedIndexes, "")).Below(l.completions)
	}
	var succeeded []int
	for _, p := range l.pods {
		switch {
		case workload.Active(p):
			l.active = append(l.active, p)
			if _, ok := workload.Ready(p); ok {
				l.ready++
			}
		case workload.Terminating(p):
			l.terminating++
		}
		if !isHeld(p) || !l.hasPlace(p) {
			continue
		}
		switch {
		case p.Status.Phase == corev1.PodSucceeded:
			if isIndexed(l.job) {
				succeeded = append(succeeded, indexOf(p))
			}
			if !l.uncounted.Has(p.UID) {
				l.newSucceeded = append(l.newSucceeded, p)
			}
		case hasFailed(l.job, p) && !l.uncounted.Has(p.UID) && judge(l.job.Spec.PodFailurePolicy, p).counts:
			l.newFailed = append(l.newFailed, p)
		}
	}
	l.completed = l.completed.With(indexes.Of(succeeded))
	if limitsIndexes(l.job) {
		l.seeFailures()
	}
}

// readIndexes reads what the controller wrote.
func readIndexes(text string) indexes.Set {
	all, err := indexes.Parse(text, math.MaxInt32)
	if err != nil {
		return nil // somebody else wrote it: it is made anew from the pods
	}
	return all
}

// hasPlace tells whether a pod counts: its index is one of the job.
func (l *look) hasPlace(p *corev1.Pod) bool {
	ix := indexOf(p)
	return !isIndexed(l.job) || ix != unknownIndex && ix < l.completions
}

// seeFailures sees which indexes have failed for good, and which pods remember failures.
func (l *look) seeFailures() {
	var lost []int
	tried := map[int][]*corev1.Pod{}
	for _, p := range l.pods {
		ix := indexOf(p)
		if !isHeld(p) || !l.hasPlace(p) || !hasFailed(l.job, p) || l.completed.Has(ix) {
			continue
		}
		v := judge(l.job.Spec.PodFailurePolicy, p)
		if v.action == batchv1.PodFailurePolicyActionFailIndex ||
			v.counts && number(p, failureCount, 0) >= int(*l.job.Spec.BackoffLimitPerIndex) {
			lost = append(lost, ix)
			continue
		}
		tried[ix] = append(tried[ix], p)
	}
	l.failed = l.failed.With(indexes.Of(lost))
	for _, p := range l.active {
		delete(tried, indexOf(p)) // another has taken the place
	}
	l.delayed = map[int]*corev1.Pod{}
	for ix, pods := range tried {
		if l.failed.Has(ix) {
			continue
		}
		for _, p := range pods {
			if other := l.delayed[ix]; other == nil || tries(other) < tries(p) {
				l.delayed[ix] = p
			}
		}
	}
}

// tries is how often the index of a pod failed before it.
func tries(p *corev1.Pod) int { return number(p, failureCount, 0) + number(p, ignoredCount, 0) }

// succeededCount is how often the job has succeeded by now.
func (l *look) succeededCount() int {
	if isIndexed(l.job) {
		return l.completed.Len()
	}
	n := int(l.job.Status.Succeeded) + len(l.newSucceeded)
	if u := l.job.Status.UncountedTerminatedPods; u != nil {
		n += len(u.Succeeded)
	}
	return n
}

// failedCount is how many pods the job has lost by now.
func (l *look) failedCount() int {
	n := int(l.job.Status.Failed) + len(l.newFailed)
	if u := l.job.Status.UncountedTerminatedPods; u != nil {
		n += len(u.Failed)
	}
	return n
}
