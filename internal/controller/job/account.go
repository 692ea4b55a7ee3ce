package job

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
)

// account is how pods become numbers. A pod that has ended is written into the status
// by its UID first, then it is let go, then the number counts it and the UID goes: what
// of this is done when the program ends is seen from the status and the pod.
type account struct {
	status batchv1.JobStatus
	// release are pods to be let go once the status is written.
	release []*corev1.Pod
	// succeeded and failed are those of them that count for the first time.
	succeeded, failed []*corev1.Pod
	// more tells that others are left for the next time.
	more bool
}

// done is what became of a plan.
type done struct {
	end              *batchv1.JobCondition
	created, removed int
	readyRemoved     int
}

// account says what is to be written after a plan was carried out.
func (l *look) account(d done) account {
	a := account{status: *l.job.Status.DeepCopy()}
	s := &a.status
	s.Active = int32(len(l.active) + d.created - d.removed)
	s.Ready = new(int32(max(l.ready-d.readyRemoved, 0)))
	s.Terminating = new(int32(l.terminating + d.removed))
	held := sets.New[types.UID]()
	for _, p := range l.pods {
		if isHeld(p) {
			held.Insert(p.UID)
		}
	}
	if s.UncountedTerminatedPods == nil {
		s.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	}
	settle(s, isIndexed(l.job), func(uid types.UID) bool { return held.Has(uid) })
	l.enter(&a, d.end)
	if isIndexed(l.job) {
		s.CompletedIndexes, s.Succeeded = l.completed.String(), int32(l.completed.Len())
	}
	if limitsIndexes(l.job) {
		s.FailedIndexes = new(l.failed.String())
	}
	if d.end != nil {
		set(s, d.end)
		if s.StartTime == nil {
			at := d.end.LastTransitionTime
			s.StartTime = &at
		}
	}
	return a
}

// enter writes down the pods that can be let go, as many as fit.
func (l *look) enter(a *account, end *batchv1.JobCondition) {
	u := a.status.UncountedTerminatedPods
	lost := end != nil && end.Type == batchv1.JobFailureTarget
	delayed := sets.New[types.UID]()
	for _, p := range l.delayed {
		delayed.Insert(p.UID)
	}
	for _, p := range l.pods {
		failed := hasFailed(l.job, p)
		switch {
		case !isHeld(p):
			continue
		case end == nil && l.job.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && (!failed || delayed.Has(p.UID)):
			continue // it runs, or remembers
		}
		if len(a.release) == maxAtOnce {
			a.more = true
			return
		}
		a.release = append(a.release, p)
		switch {
		case l.uncounted.Has(p.UID) || !l.hasPlace(p):
		case p.Status.Phase == corev1.PodSucceeded:
			a.succeeded = append(a.succeeded, p)
			if !isIndexed(l.job) {
				u.Succeeded = append(u.Succeeded, p.UID)
			}
		case lost && !failed, failed && judge(l.job.Spec.PodFailurePolicy, p).counts:
			a.failed = append(a.failed, p)
			u.Failed = append(u.Failed, p.UID)
		}
	}
}

// settle counts the pods that are let go and forgets their UIDs.
func settle(s *batchv1.JobStatus, indexed bool, isHeld func(types.UID) bool) {
	u := s.UncountedTerminatedPods
	before := len(u.Succeeded)
	u.Succeeded = slices.DeleteFunc(u.Succeeded, func(uid types.UID) bool { return !isHeld(uid) })
	if !indexed {
		s.Succeeded += int32(before - len(u.Succeeded))
	}
	before = len(u.Failed)
	u.Failed = slices.DeleteFunc(u.Failed, func(uid types.UID) bool { return !isHeld(uid) })
	s.Failed += int32(before - len(u.Failed))
}

// isCounted tells whether a status has no pods left to count.
func isCounted(s *batchv1.JobStatus) bool {
	u := ptr.Deref(s.UncountedTerminatedPods, batchv1.UncountedTerminatedPods{})
	return len(u.Succeeded)+len(u.Failed) == 0
}
