package job

import (
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// Annotations of pods of jobs with a limit per index.
const (
	failureCount = batchv1.JobIndexFailureCountAnnotation
	ignoredCount = batchv1.JobIndexIgnoredFailureCountAnnotation
)

// unknownIndex is that of a pod that says none.
const unknownIndex = -1

// isIndexed tells whether each pod of a job has an index to complete.
func isIndexed(j *batchv1.Job) bool {
	return ptr.Deref(j.Spec.CompletionMode, batchv1.NonIndexedCompletion) == batchv1.IndexedCompletion
}

// limitsIndexes tells whether each index of a job may fail for itself.
func limitsIndexes(j *batchv1.Job) bool { return isIndexed(j) && j.Spec.BackoffLimitPerIndex != nil }

// waitsForEnds tells whether a pod is replaced only once it has ended.
func waitsForEnds(j *batchv1.Job) bool {
	return j.Spec.PodFailurePolicy != nil || ptr.Deref(j.Spec.PodReplacementPolicy, batchv1.TerminatingOrFailed) == batchv1.Failed
}

// isHeld tells whether a pod has yet to be counted.
func isHeld(p *corev1.Pod) bool { return slices.Contains(p.Finalizers, batchv1.JobTrackingFinalizer) }

// hasFailed tells whether a pod is lost to its job. One that is being deleted may never
// tell how it ended.
func hasFailed(j *batchv1.Job, p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed ||
		!waitsForEnds(j) && p.DeletionTimestamp != nil && p.Status.Phase != corev1.PodSucceeded
}

// indexOf is the index of a pod among the completions of its job.
func indexOf(p *corev1.Pod) int { return number(p, batchv1.JobCompletionIndexAnnotation, unknownIndex) }

// number is a number in an annotation, otherwise where there is none.
func number(p *corev1.Pod, annotation string, otherwise int) int {
	n, err := strconv.ParseInt(p.Annotations[annotation], 10, 32)
	if err != nil || n < 0 {
		return otherwise
	}
	return int(n)
}

// endOf is when a failed pod ended, on the clock of its node.
func endOf(p *corev1.Pod) time.Time {
	if t := lastExit(p); !t.IsZero() {
		return t
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionFalse && !c.LastTransitionTime.IsZero() {
			return c.LastTransitionTime.Time
		}
	}
	if p.DeletionTimestamp != nil {
		return p.DeletionTimestamp.Add(-time.Duration(ptr.Deref(p.DeletionGracePeriodSeconds, 0)) * time.Second)
	}
	return p.CreationTimestamp.Time
}

// lastExit is when the last container ended, the zero time while one has not.
func lastExit(p *corev1.Pod) (last time.Time) {
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Terminated == nil || c.State.Terminated.FinishedAt.IsZero() {
			return time.Time{}
		}
		if t := c.State.Terminated.FinishedAt.Time; t.After(last) {
			last = t
		}
	}
	return last
}

// restarts is how often containers of a pod were started again.
func restarts(p *corev1.Pod) (n int) {
	for _, all := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, c := range all {
			n += int(c.RestartCount)
		}
	}
	return n
}
