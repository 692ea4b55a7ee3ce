package podworker

import (
	"context"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/onupdate"
)

const (
	// exitLooks is how often the end of a container is looked for after its event,
	// before that is left to the relist.
	exitLooks = 50
	// exitPause is the pause between two of these looks.
	exitPause = 10 * time.Millisecond
)

// board is what a worker and those who call it have in common: what the worker shows,
// and what it is asked. Its methods may be called from anywhere.
type board struct {
	seen string        // when the pod was first seen
	wake chan struct{} // holds one token
	// view is a pod with what it is allocated.
	view func(*corev1.Pod) *corev1.Pod
	// moved holds one token as wake does, for a step that waits and reports meanwhile.
	moved chan struct{}

	mu    sync.Mutex
	shown *Snapshot
	// dirty says that the runtime may differ from what is shown.
	dirty bool
	// exited are containers that an event said have ended, with how often they are still
	// looked for.
	exited map[string]int
	// poked says that something that a container waits for has changed.
	poked bool
	// tooMuch is why the pod is evicted, nil while it is not.
	tooMuch *status.Waiting
	// free says that the disk is full, so that nothing is kept of a pod that has ended.
	free bool
	// replace has, by container, the one that is to be stopped and started again.
	replace map[string]replacement
	// interrupt ends the waiting of the step under way.
	interrupt context.CancelFunc
}

type replacement struct {
	id, message string
	done        chan struct{} // closed when the next one runs
}

func newBoard(seen string, pod *corev1.Pod, view func(*corev1.Pod) *corev1.Pod) *board {
	return &board{
		seen: seen, view: view, wake: make(chan struct{}, 1), moved: make(chan struct{}, 1), exited: map[string]int{}, replace: map[string]replacement{},
		shown: &Snapshot{API: pod, Pod: WithAnnotations(view(pod), seen)},
	}
}

// WithAnnotations is pod with the annotations that it sees of itself, seen being when
// it was first seen. It shares all but its annotations.
func WithAnnotations(pod *corev1.Pod, seen string) *corev1.Pod {
	out := *pod
	out.Annotations = make(map[string]string, len(pod.Annotations)+2)
	maps.Copy(out.Annotations, pod.Annotations)
	out.Annotations[runspec.AnnotationSeen], out.Annotations[runspec.AnnotationSource] = seen, "api"
	return &out
}

// snapshot is what is shown now.
func (b *board) snapshot() *Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.shown
}

// show shows a changed copy. change replaces what it changes.
func (b *board) show(change func(*Snapshot)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.showLocked(change)
}

func (b *board) showLocked(change func(*Snapshot)) {
	next := *b.shown
	change(&next)
	b.shown = &next
}

// signal wakes the worker.
func (b *board) signal() {
	for _, c := range []chan struct{}{b.wake, b.moved} {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// update notes the pod as it is in the API now and returns it as it sees itself.
func (b *board) update(pod *corev1.Pod) *corev1.Pod {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.shown.API
	// A container that could not be made from the pod's labels or annotations may be now.
	if !maps.Equal(was.Annotations, pod.Annotations) || !maps.Equal(was.Labels, pod.Labels) {
		b.poked = true
	}
	b.showLocked(func(s *Snapshot) { s.API, s.Pod = pod, WithAnnotations(b.view(pod), b.seen) })
	ending := pod.DeletionTimestamp != nil && (was.DeletionTimestamp == nil || lifecycle.Grace(pod) != lifecycle.Grace(was))
	if ending && b.interrupt != nil {
		b.interrupt()
	}
	return b.shown.Pod
}

// remove notes that the API has the pod no more; pod is how it was last.
func (b *board) remove(pod *corev1.Pod) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.showLocked(func(s *Snapshot) { s.API, s.Pod, s.Gone = pod, WithAnnotations(b.view(pod), b.seen), true })
	if b.interrupt != nil {
		b.interrupt()
	}
}

// markDirty has the runtime looked at in the next step.
func (b *board) markDirty() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dirty = true
}

// poke has what failed before a container existed tried again.
func (b *board) poke() {
	b.mu.Lock()
	b.poked = true
	b.mu.Unlock()
	b.signal()
}

// event has the runtime looked at. The end of a container is looked for until the
// runtime's own state has it.
func (b *board) event(e cri.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dirty = true
	if e.Kind == cri.EventExited {
		b.exited[e.ID] = exitLooks
	}
}

// begin begins a step, whose waiting interrupt ends from now on.
func (b *board) begin(interrupt context.CancelFunc) (s *Snapshot, dirty, poked bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	dirty, poked = b.dirty, b.poked
	b.dirty, b.poked, b.interrupt = false, false, interrupt
	return b.shown, dirty, poked
}

// looked shows what was found on the runtime. A pause asks for another look, since the
// runtime has yet to notice the end of a container.
func (b *board) looked(r lifecycle.Runtime) (pause time.Duration) {
	running := map[string]bool{}
	for _, c := range r.Containers {
		running[c.ID] = c.State == cri.ContainerRunning
	}
	for _, s := range r.Sandboxes {
		running[s.ID] = s.State == cri.SandboxReady
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.showLocked(func(s *Snapshot) {
		r.Probed = s.Runtime.Probed // which others may have changed meanwhile
		s.Runtime, s.unseen = r, false
	})
	for id, looks := range b.exited {
		if !running[id] || looks == 0 {
			delete(b.exited, id)
			continue
		}
		b.exited[id] = looks - 1
		b.dirty = true
		pause = exitPause
	}
	return pause
}

// probed notes what probes and hooks know of a container; nil forgets it. It does not
// wake the worker.
func (b *board) probed(id string, p *lifecycle.Probed) {
	b.show(func(s *Snapshot) {
		s.Runtime.Probed = copied(s.Runtime.Probed)
		if delete(s.Runtime.Probed, id); p != nil {
			s.Runtime.Probed[id] = *p
		}
	})
}

// evict notes why the pod is to end; the first reason counts.
func (b *board) evict(why status.Waiting) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if first = b.tooMuch == nil; first {
		b.tooMuch = &why
	}
	return first
}

// evicted is why the pod is to end, nil when it is not.
func (b *board) evicted() *status.Waiting {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tooMuch
}

// makeRoom notes that nothing of the pod is to be kept once it has ended.
func (b *board) makeRoom() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = true
}

// roomWanted tells whether makeRoom was called.
func (b *board) roomWanted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free
}

// replacing asks for a container to be replaced. done is closed when another one runs.
func (b *board) replacing(r onupdate.Restart) (done <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if newest := b.shown.Runtime.Newest(r.Container); newest == nil || newest.ID != r.ID {
		already := make(chan struct{})
		close(already)
		return already
	}
	asked := replacement{r.ID, r.Message, make(chan struct{})}
	if before, ok := b.replace[r.Container]; ok && before.id == r.ID {
		asked.done = before.done
	}
	b.replace[r.Container] = asked
	return asked.done
}

// asked is what is to be replaced now.
func (b *board) asked() lifecycle.Replace {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := lifecycle.Replace{}
	for name, r := range b.replace {
		out[name] = r.id
	}
	return out
}

// replaced tells whether a container is to be replaced, and why.
func (b *board) replaced(c cri.Container) (message string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked, ok := b.replace[c.Name]
	return asked.message, ok && asked.id == c.ID
}

// starting notes that a container's mounts are about to be made. Until done is called
// nobody can say whether it has seen an update.
func (b *board) starting(name string) (done func()) {
	b.show(func(s *Snapshot) {
		s.starting = copied(s.starting)
		s.starting[name] = true
	})
	return func() {
		b.show(func(s *Snapshot) {
			s.starting = copied(s.starting)
			delete(s.starting, name)
		})
	}
}

// runs notes that a container was started. One that was restarted after a crash
// settles then.
func (b *board) runs(c cri.Container, settles time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked, replaced := b.replace[c.Name]
	b.showLocked(func(s *Snapshot) {
		s.settles = copied(s.settles)
		delete(s.settles, c.Name)
		if !replaced && c.Attempt > 0 {
			s.settles[c.Name] = settles
		}
	})
	if replaced {
		delete(b.replace, c.Name)
		close(asked.done)
	}
}

// copied is a copy that may be changed, also of a map that is nil.
func copied[V any](m map[string]V) map[string]V {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]V{}
	}
	return out
}
