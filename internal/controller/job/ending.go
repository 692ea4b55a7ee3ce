package job

import (
	"fmt"
	"math"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// find returns a condition of a status, nil where it has none.
func find(s *batchv1.JobStatus, of batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == of {
			return &s.Conditions[i]
		}
	}
	return nil
}

func isTrue(s *batchv1.JobStatus, of batchv1.JobConditionType) bool {
	c := find(s, of)
	return c != nil && c.Status == corev1.ConditionTrue
}

func (l *look) condition(of batchv1.JobConditionType, reason, message string) *batchv1.JobCondition {
	at := metav1.NewTime(l.now)
	return &batchv1.JobCondition{Type: of, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastProbeTime: at, LastTransitionTime: at}
}

// ending is the first step of a job's end: why it is to end, SuccessCriteriaMet or
// FailureTarget; nil where it goes on.
func (l *look) ending() *batchv1.JobCondition {
	s := &l.job.Status
	for _, of := range []batchv1.JobConditionType{batchv1.JobSuccessCriteriaMet, batchv1.JobFailureTarget} {
		if isTrue(s, of) {
			return find(s, of)
		}
	}
	fail := func(reason, message string) *batchv1.JobCondition {
		return l.condition(batchv1.JobFailureTarget, reason, message)
	}
	if why := l.failsAtOnce(); why != "" {
		return fail(batchv1.JobReasonPodFailurePolicy, why)
	}
	limit := int(ptr.Deref(l.job.Spec.BackoffLimit, 6))
	if l.failedCount() > limit || l.restartsTooOften(limit) {
		return fail(batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit")
	}
	if left, ok := l.deadline(); ok && left <= 0 {
		return fail(batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline")
	}
	if limitsIndexes(l.job) {
		switch most, n := l.job.Spec.MaxFailedIndexes, l.failed.Len(); {
		case most != nil && n > int(*most):
			return fail(batchv1.JobReasonMaxFailedIndexesExceeded, "Job has exceeded the specified maximal number of failed indexes")
		case n > 0 && n+l.completed.Len() >= l.completions:
			return fail(batchv1.JobReasonFailedIndexes, "Job has failed indexes")
		}
	}
	if i := succeeds(l.job.Spec.SuccessPolicy, l.completed, l.completions); i >= 0 {
		return l.condition(batchv1.JobSuccessCriteriaMet, batchv1.JobReasonSuccessPolicy, fmt.Sprintf("Matched rules at index %d", i))
	}
	if l.isDone() {
		return l.condition(batchv1.JobSuccessCriteriaMet, batchv1.JobReasonCompletionsReached, "Reached expected number of succeeded pods")
	}
	return nil
}

// isDone tells whether the job has done what it was to do.
func (l *look) isDone() bool {
	n, want := l.succeededCount(), l.job.Spec.Completions
	return len(l.active) == 0 && (want == nil && n > 0 || want != nil && n >= int(*want))
}

// isTooMuch tells whether more pods have succeeded than were to.
func (l *look) isTooMuch() bool {
	want := l.job.Spec.Completions
	return want != nil && l.succeededCount() > int(*want)
}

// failsAtOnce says why a rule of the failure policy ends the job, "" where none does.
func (l *look) failsAtOnce() string {
	if l.job.Spec.PodFailurePolicy == nil {
		return ""
	}
	for _, p := range l.pods {
		if !hasFailed(l.job, p) {
			continue
		}
		if v := judge(l.job.Spec.PodFailurePolicy, p); v.action == batchv1.PodFailurePolicyActionFailJob {
			return v.why
		}
	}
	return ""
}

// restartsTooOften tells whether containers that are restarted where they are have been
// so more often than pods may fail.
func (l *look) restartsTooOften(limit int) bool {
	if l.job.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		return false
	}
	n := 0
	for _, p := range l.pods {
		if p.Status.Phase == corev1.PodRunning || p.Status.Phase == corev1.PodPending {
			n += restarts(p)
		}
	}
	return n > 0 && n >= limit
}

// deadline is how long the job may go on. ok is false where it has no deadline, or has
// not begun.
func (l *look) deadline() (left time.Duration, ok bool) {
	d, began := l.job.Spec.ActiveDeadlineSeconds, l.job.Status.StartTime
	if d == nil || began == nil || l.isSuspended() || *d > math.MaxInt32 {
		return 0, false
	}
	return began.Add(time.Duration(*d) * time.Second).Sub(l.now), true
}

func (l *look) isSuspended() bool { return ptr.Deref(l.job.Spec.Suspend, false) }

// finish is the second step: the job is over once all is counted and no pod is left. It
// returns the condition that it added.
func (l *look) finish(s *batchv1.JobStatus) *batchv1.JobCondition {
	if s.Active > 0 || ptr.Deref(s.Terminating, 0) > 0 || !isCounted(s) {
		return nil
	}
	step, of := batchv1.JobSuccessCriteriaMet, batchv1.JobComplete
	if !isTrue(s, step) {
		step, of = batchv1.JobFailureTarget, batchv1.JobFailed
	}
	if !isTrue(s, step) || isTrue(s, of) {
		return nil
	}
	why := find(s, step)
	over := l.condition(of, why.Reason, why.Message)
	s.Conditions = append(s.Conditions, *over)
	if of == batchv1.JobComplete {
		s.CompletionTime = &over.LastTransitionTime
	}
	return over
}

// isOver tells whether a job has ended for good.
func isOver(j *batchv1.Job) bool {
	return isTrue(&j.Status, batchv1.JobComplete) || isTrue(&j.Status, batchv1.JobFailed)
}

// begin notes when the job began, and whether it is suspended. It returns the event of a
// change.
func (l *look) begin(s *batchv1.JobStatus) (reason, message string) {
	at := metav1.NewTime(l.now)
	c := find(s, batchv1.JobSuspended)
	switch {
	case l.isSuspended() && (c == nil || c.Status != corev1.ConditionTrue):
		set(s, l.condition(batchv1.JobSuspended, "JobSuspended", "Job suspended"))
		return "Suspended", "Job suspended"
	case !l.isSuspended() && c != nil && c.Status != corev1.ConditionFalse:
		resumed := l.condition(batchv1.JobSuspended, "JobResumed", "Job resumed")
		resumed.Status = corev1.ConditionFalse
		set(s, resumed)
		s.StartTime = &at
		return "Resumed", "Job resumed"
	case !l.isSuspended() && s.StartTime == nil:
		s.StartTime = &at
	}
	return "", ""
}

// set adds a condition to a status, or changes it.
func set(s *batchv1.JobStatus, c *batchv1.JobCondition) {
	if old := find(s, c.Type); old != nil {
		*old = *c
		return
	}
	s.Conditions = append(s.Conditions, *c)
}
