package node

import (
	"context"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
)

// again is how soon a step is repeated that could not end its work.
const again = time.Second

// worker runs one pod. Its step is the only code that changes what the pod has on
// the runtime; the other methods may be called from anywhere.
//
//	new ──▶ starting ⇄ running ──▶ finished        (phase Succeeded or Failed)
//	  └────────┴──────────┴───────────┴──▶ ending ──▶ ended   (deleted, or gone)
type worker struct {
	a    *Agent
	uid  types.UID
	seen string        // when the pod was first seen
	wake chan struct{} // holds one token
	// refused is why the pod was not admitted, nil when it was; set before run.
	refused *status.Waiting

	mu   sync.Mutex
	api  *corev1.Pod // as the API has it
	pod  *corev1.Pod // with the annotations that the pod sees
	gone bool        // the API has it no more
	// dirty says that the runtime may differ from rt.
	dirty bool
	// exited are containers that an event said have ended.
	exited map[string]int
	// poked says that something that a container waits for has changed.
	poked bool
	// tooMuch is what the pod took too much of, "" while it has not.
	tooMuch string
	updates updates
	// interrupt ends the waiting of the step under way.
	interrupt context.CancelFunc
	// view is rt.Containers for readers.
	view []cri.Container
	// reported is last for readers.
	reported *corev1.PodStatus

	// The rest belongs to the goroutine of run.
	rt           lifecycle.Runtime
	last         *corev1.PodStatus
	writer       statusWriter
	containers   map[string]*containerState
	sandboxRetry lifecycle.Retry
	volumes      volumeSetup
	followed     map[string]bool // containers, by ID, whose subPaths were looked at
	started      time.Time       // on the agent's clock; zero while there is no deadline
	failed       *status.Waiting
	warned       bool // of what the agent does not honour
	finished     bool // everything but the pod object is cleaned up
	ended        bool // the pod was deleted, or is gone and cleaned up
}

// containerState is what a worker remembers of a container beside the runtime.
type containerState struct {
	lifecycle.Memory
	waiting *status.Waiting
	// announced is the container whose back-off was recorded.
	announced string
	// pull is the back-off of the image.
	pull      lifecycle.Backoff
	pullEnded time.Time
	pullError string
	// killed is the container whose stopping was recorded.
	killed string
	// release gives up the objects that the environment waits for.
	release []func()
}

// newWorker makes the worker of a pod that was first seen at the given time.
func newWorker(a *Agent, pod *corev1.Pod, seen string) *worker {
	w := &worker{
		a: a, uid: pod.UID, seen: seen, wake: make(chan struct{}, 1),
		exited: map[string]int{}, containers: map[string]*containerState{}, updates: newUpdatesOf(nil, false),
	}
	w.writer.a = a
	w.set(pod)
	w.signal()
	return w
}

// set stores a pod as the API has it. The caller holds mu, or is the only one to
// know w.
func (w *worker) set(pod *corev1.Pod) {
	w.api = pod
	w.pod = withAnnotations(pod, w.seen)
	w.writer.observe(pod)
}

// withAnnotations is a copy of pod, sharing all but its annotations.
func withAnnotations(pod *corev1.Pod, seen string) *corev1.Pod {
	out := *pod
	out.Annotations = make(map[string]string, len(pod.Annotations)+2)
	for k, v := range pod.Annotations {
		out.Annotations[k] = v
	}
	out.Annotations[runspec.AnnotationSeen], out.Annotations[runspec.AnnotationSource] = seen, "api"
	return &out
}

// update gives the worker the pod as it is in the API now.
func (w *worker) update(pod *corev1.Pod) {
	w.mu.Lock()
	// A container that could not be made from the pod's labels or annotations may be now.
	if !maps.Equal(w.api.Annotations, pod.Annotations) || !maps.Equal(w.api.Labels, pod.Labels) {
		w.poked = true
	}
	ending := pod.DeletionTimestamp != nil && (w.api.DeletionTimestamp == nil || lifecycle.Grace(pod) != lifecycle.Grace(w.api))
	w.set(pod)
	if ending && w.interrupt != nil {
		w.interrupt()
	}
	current := w.pod
	w.mu.Unlock()
	w.a.updates.Sync(current)
	w.a.volumes.Sync(current)
	w.signal()
}

// remove tells the worker that the API has the pod no more.
func (w *worker) remove(pod *corev1.Pod) {
	w.mu.Lock()
	w.set(pod)
	w.gone = true
	if w.interrupt != nil {
		w.interrupt()
	}
	w.mu.Unlock()
	w.signal()
}

// kick makes the worker look at the runtime.
func (w *worker) kick() {
	w.mu.Lock()
	w.dirty = true
	w.mu.Unlock()
	w.signal()
}

// poke makes the worker try again what failed before a container existed.
func (w *worker) poke() {
	w.mu.Lock()
	w.poked = true
	w.mu.Unlock()
	w.signal()
}

// runtimeEvent makes the worker look at the runtime. The end of a container is
// looked for until the runtime's own state has it.
func (w *worker) runtimeEvent(e cri.Event) {
	w.mu.Lock()
	w.dirty = true
	if e.Kind == cri.EventExited {
		w.exited[e.ID] = exitLooks
	}
	w.mu.Unlock()
	w.signal()
}

func (w *worker) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// current is the pod as the API has it.
func (w *worker) current() *corev1.Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.api
}

// run steps until the pod is gone everywhere or ctx ends; a step under way ends first.
func (w *worker) run(ctx context.Context) {
	w.writer.start(ctx)
	defer w.writer.stop()
	defer w.volumes.cancel()
	defer w.releaseObjects()
	timer := w.a.cfg.Clock.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-timer.C():
		}
		pause, done := w.step(ctx)
		if done {
			w.a.forget(w.uid)
			return
		}
		if !timer.Stop() {
			select {
			case <-timer.C():
			default:
			}
		}
		if pause > 0 {
			timer.Reset(pause)
		}
	}
}

// step does everything that can be done now. It returns after which pause it must
// be called again without a wake (zero: never), and whether the work is over.
func (w *worker) step(ctx context.Context) (pause time.Duration, done bool) {
	wait, interrupt := context.WithCancel(ctx)
	defer interrupt()
	w.mu.Lock()
	pod, gone, dirty, poked := w.pod, w.gone, w.dirty, w.poked
	w.dirty, w.poked, w.interrupt = false, false, interrupt
	w.mu.Unlock()

	if dirty {
		p, err := w.refresh(ctx)
		if err != nil {
			if ctx.Err() == nil {
				w.log("runtime state not read", "error", err)
			}
			w.markDirty()
			return again, false
		}
		pause = p
	}
	if poked {
		for _, c := range w.containers {
			c.Retry = lifecycle.Retry{}
		}
	}
	if gone || pod.DeletionTimestamp != nil {
		if w.ended {
			return 0, gone
		}
		p := w.end(ctx, wait, pod, gone)
		return p, w.ended && gone
	}
	pause = lifecycle.Sooner(pause, w.advance(ctx, wait, pod))
	return lifecycle.Sooner(pause, w.followSubPaths(ctx, pod)), false
}

func (w *worker) markDirty() {
	w.mu.Lock()
	w.dirty = true
	w.mu.Unlock()
}

func (w *worker) log(message string, args ...any) {
	pod := w.current()
	w.a.cfg.Log.Warn(message, append([]any{"namespace", pod.Namespace, "pod", pod.Name, "uid", w.uid}, args...)...)
}

// now is the time of back-offs and deadlines.
func (w *worker) now() time.Time { return w.a.cfg.Clock.Now() }

// onClock is the agent's clock at a moment of real time.
func (w *worker) onClock(wall time.Time) time.Time {
	return w.now().Add(-w.a.cfg.Wall.Since(wall))
}

// container is what is remembered of a container.
func (w *worker) container(name string) *containerState {
	c, ok := w.containers[name]
	if !ok {
		c = &containerState{}
		w.containers[name] = c
	}
	return c
}

func (w *worker) releaseObjects() {
	for _, c := range w.containers {
		c.releaseObjects()
	}
}

func (c *containerState) releaseObjects() {
	for _, release := range c.release {
		release()
	}
	c.release = nil
}
