package statuswriter

import (
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/wait"
)

// retry is how soon a write is tried again that the API did not answer.
const retry = time.Second

// Pods are the pods of a namespace in the API.
type Pods interface {
	Get(ctx context.Context, name string, o metav1.GetOptions) (*corev1.Pod, error)
	UpdateStatus(ctx context.Context, pod *corev1.Pod, o metav1.UpdateOptions) (*corev1.Pod, error)
}

// Config is what a Writer needs; all is required.
type Config struct {
	// Pods speaks to the API about the pods of a namespace.
	Pods func(namespace string) Pods
	// Clock is real time.
	Clock clock.Wall
	Log   *slog.Logger
}

// Writer writes one pod's status to the API: the newest status wins, those between may be
// left out. It is safe for concurrent use.
type Writer struct {
	cfg Config

	mu   sync.Mutex
	base *corev1.Pod        // newest known of the API
	want *corev1.PodStatus  // to be written, nil when all is written
	busy chan struct{}      // closed when the writing goroutine ends; nil when none runs
	ctx  context.Context    // of the writing
	end  context.CancelFunc // ends the writing

	writing sync.WaitGroup
}

// New returns the writer of a pod, which is as the API has it. Nothing is written before
// Start.
func New(cfg Config, pod *corev1.Pod) *Writer { return &Writer{cfg: cfg, base: pod} }

// Start lets the writing begin; it ends with ctx.
func (w *Writer) Start(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx, w.end = context.WithCancel(ctx)
}

// Observe takes note of the pod as the API has it.
func (w *Writer) Observe(pod *corev1.Pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.base != nil && w.base.UID == pod.UID {
		if order, err := resourceversion.CompareResourceVersion(pod.ResourceVersion, w.base.ResourceVersion); err == nil && order < 0 {
			return
		}
	}
	w.base = pod
}

// Write has a status written soon. It is called after Start.
func (w *Writer) Write(newest corev1.PodStatus) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.want = &newest
	if w.busy != nil {
		return
	}
	w.busy = make(chan struct{})
	w.writing.Go(w.loop)
}

// Flush returns when everything is written, or ctx ends.
func (w *Writer) Flush(ctx context.Context) {
	w.mu.Lock()
	busy := w.busy
	w.mu.Unlock()
	if busy == nil {
		return
	}
	select {
	case <-busy:
	case <-ctx.Done():
	}
}

// Stop ends the writing; what is not written is left. It is called after Start, and
// Write no more.
func (w *Writer) Stop() {
	w.end()
	w.writing.Wait()
}

func (w *Writer) loop() {
	for {
		w.mu.Lock()
		want, base := w.want, w.base
		if want == nil || w.ctx.Err() != nil {
			close(w.busy)
			w.busy = nil
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		written, pause := w.put(base, want)
		w.mu.Lock()
		if written && w.want == want {
			w.want = nil
		}
		w.mu.Unlock()
		wait.Pause(w.ctx, w.cfg.Clock, pause)
	}
}

// put writes a status over base. The pause comes before another try.
func (w *Writer) put(base *corev1.Pod, want *corev1.PodStatus) (written bool, pause time.Duration) {
	if equality.Semantic.DeepEqual(base.Status, *want) {
		return true, 0
	}
	next := *base
	next.Status = *want
	got, err := w.cfg.Pods(base.Namespace).UpdateStatus(w.ctx, &next, metav1.UpdateOptions{})
	switch {
	case err == nil:
		w.Observe(got)
		return true, 0
	case apierrors.IsNotFound(err) || w.ctx.Err() != nil:
		return true, 0
	case apierrors.IsConflict(err):
		return w.again(base, want)
	}
	w.cfg.Log.Warn("pod status not written", "namespace", base.Namespace, "pod", base.Name, "error", err)
	return false, retry
}

// again reads the pod after a conflict. A pod of the same name that is another one
// gets nothing; conditions that others have written are taken over.
func (w *Writer) again(base *corev1.Pod, want *corev1.PodStatus) (written bool, pause time.Duration) {
	now, err := w.cfg.Pods(base.Namespace).Get(w.ctx, base.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) || (err == nil && now.UID != base.UID):
		return true, 0
	case err != nil:
		return false, retry
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.base = now
	want.Conditions = status.MergeConditions(want.Conditions, now.Status.Conditions)
	return false, 0
}
