package podworker

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"laterna.dev/laterna/internal/wait"
)

// statusWriter writes one pod's status to the API beside the worker's steps: the
// newest status wins, those between may be left out.
type statusWriter struct {
	deps *Deps

	mu   sync.Mutex
	base *corev1.Pod        // newest known of the API
	want *corev1.PodStatus  // to be written, nil when all is written
	busy chan struct{}      // closed when the writing goroutine ends; nil when none runs
	ctx  context.Context    // of the writing
	end  context.CancelFunc // ends the writing

	writing sync.WaitGroup
}

// start lets the writing begin; it ends with ctx.
func (s *statusWriter) start(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx, s.end = context.WithCancel(ctx)
}

// observe takes note of the pod as the API has it.
func (s *statusWriter) observe(pod *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base != nil && s.base.UID == pod.UID {
		if order, err := resourceversion.CompareResourceVersion(pod.ResourceVersion, s.base.ResourceVersion); err == nil && order < 0 {
			return
		}
	}
	s.base = pod
}

// write has a status written soon. It is called after start.
func (s *statusWriter) write(status corev1.PodStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want = &status
	if s.busy != nil {
		return
	}
	s.busy = make(chan struct{})
	s.writing.Go(s.loop)
}

// flush returns when everything is written, or ctx ends.
func (s *statusWriter) flush(ctx context.Context) {
	s.mu.Lock()
	busy := s.busy
	s.mu.Unlock()
	if busy == nil {
		return
	}
	select {
	case <-busy:
	case <-ctx.Done():
	}
}

// stop ends the writing; what is not written is left. It is called after start, and
// write no more.
func (s *statusWriter) stop() {
	s.end()
	s.writing.Wait()
}

func (s *statusWriter) loop() {
	for {
		s.mu.Lock()
		want, base := s.want, s.base
		if want == nil || s.ctx.Err() != nil {
			close(s.busy)
			s.busy = nil
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		written, pause := s.put(base, want)
		s.mu.Lock()
		if written && s.want == want {
			s.want = nil
		}
		s.mu.Unlock()
		wait.Pause(s.ctx, s.deps.Wall, pause)
	}
}

// put writes a status over base. The pause comes before another try.
func (s *statusWriter) put(base *corev1.Pod, want *corev1.PodStatus) (written bool, pause time.Duration) {
	if equality.Semantic.DeepEqual(base.Status, *want) {
		return true, 0
	}
	pods := s.deps.Pods(base.Namespace)
	next := *base
	next.Status = *want
	got, err := pods.UpdateStatus(s.ctx, &next, metav1.UpdateOptions{})
	switch {
	case err == nil:
		s.observe(got)
		return true, 0
	case apierrors.IsNotFound(err) || s.ctx.Err() != nil:
		return true, 0
	case apierrors.IsConflict(err):
		return s.again(base, want)
	}
	s.deps.Log.Warn("pod status not written", "namespace", base.Namespace, "pod", base.Name, "error", err)
	return false, again
}

// again reads the pod after a conflict. A pod of the same name that is another one
// gets nothing; conditions that others have written are taken over.
func (s *statusWriter) again(base *corev1.Pod, want *corev1.PodStatus) (written bool, pause time.Duration) {
	now, err := s.deps.Pods(base.Namespace).Get(s.ctx, base.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) || (err == nil && now.UID != base.UID):
		return true, 0
	case err != nil:
		return false, again
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = now
	want.Conditions = mergeConditions(want.Conditions, now.Status.Conditions)
	return false, 0
}
