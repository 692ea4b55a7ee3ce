package podworker

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/containerfiles"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/seccomp"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/node/statuswriter"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/onupdate"
)

// again is how soon a step is repeated that could not end its work.
const again = time.Second

// Worker runs one pod. Its step is the only code that changes what the pod has on
// the runtime; the exported methods but Run may be called from anywhere.
//
//	new ──▶ starting ⇄ running ──▶ finished        (phase Succeeded or Failed)
//	  └────────┴──────────┴───────────┴──▶ ending ──▶ ended   (deleted, or gone)
type Worker struct {
	*core

	// The rest belongs to the goroutine of Run.
	reporter  *reporter
	observer  *observer
	ender     *ender
	sandboxes *sandboxes
	starter   *starter
	volumes   volumeSetup
	probes    *probes
	hooks     *hooks
	followed  map[string]bool // containers, by ID, whose subPaths were looked at
	started   time.Time       // on the agent's clock; zero while there is no deadline
	warned    bool            // of what the agent does not honour
	finished  bool            // everything but the pod object is cleaned up
	emptied   bool            // and what it kept for its logs, as the disk was full
	ended     bool            // the pod was deleted, or is gone and cleaned up
}

// newWorker puts the parts of a worker together.
func newWorker(k *core, pod *corev1.Pod) *Worker {
	files := &containerfiles.Files{
		Volumes: k.deps.Volumes, Profiles: seccomp.Dir(k.deps.Node.Root), ClusterDomain: k.deps.Node.ClusterDomain, Logs: k.deps.Logs, Clock: k.deps.Wall,
	}
	writer := statuswriter.New(statuswriter.Config{
		Pods: func(namespace string) statuswriter.Pods { return k.deps.Pods(namespace) }, Clock: k.deps.Wall, Log: k.deps.Log,
	}, pod)
	w := &Worker{core: k, reporter: &reporter{core: k, writer: writer}, observer: &observer{k, files}, sandboxes: &sandboxes{core: k}}
	w.probes = &probes{core: k, reporter: w.reporter, watched: map[string]*watched{}}
	w.hooks = &hooks{core: k, files: files, reporter: w.reporter, starting: map[string]*hookRun{}, stopping: map[string]*hookRun{}, looked: map[string]bool{}}
	w.ender = &ender{k, w.observer, w.reporter, w.probes, w.hooks}
	w.starter = &starter{
		core: k, files: files, observer: w.observer, ender: w.ender, reporter: w.reporter, probes: w.probes, hooks: w.hooks,
	}
	return w
}

// step is what one step of a worker begins with.
type step struct {
	pod  *corev1.Pod // as it sees itself
	gone bool        // the API has it no more
	// ctx bounds calls that must come to their end; wait ends also when the pod is to be
	// deleted, or sooner than it was to be.
	ctx, wait context.Context
}

// Origin is what is known of a pod when its worker begins.
type Origin struct {
	// Seen is when the pod was first seen, as its annotation says it.
	Seen string
	// OnRuntime says that an earlier agent may have left something on the runtime.
	OnRuntime bool
	// Restarting are containers that an earlier agent was asked to replace: their IDs by
	// name.
	Restarting map[string]string
	// Gone says that the API does not have the pod.
	Gone bool
	// Refused is why the pod is not admitted, nil when it is.
	Refused *status.Waiting
}

// New makes the worker of a pod, which does nothing before Run.
func New(deps *Deps, pod *corev1.Pod, o Origin) *Worker {
	if o.Refused == nil && !o.Gone {
		deps.Resizes.Add(pod)
	}
	w := newWorker(&core{deps: deps, uid: pod.UID, board: newBoard(o.Seen, pod, deps.Resizes.View), containers: map[string]*containerState{}}, pod)
	for name, id := range o.Restarting {
		w.board.replace[name] = replacement{id, "Container " + name + " will be restarted: a volume was updated", make(chan struct{})}
	}
	for name, id := range deps.Resizes.Restarting(pod.UID) {
		w.board.replace[name] = replacement{id, resizeRestart(name), make(chan struct{})}
	}
	w.board.dirty = o.OnRuntime
	w.board.show(func(s *Snapshot) { s.Gone, s.Refused, s.unseen = o.Gone, o.Refused, o.OnRuntime })
	w.board.signal()
	return w
}

// Snapshot is the pod as the worker knows it now.
func (w *Worker) Snapshot() *Snapshot { return w.board.snapshot() }

// Update gives the worker the pod as it is in the API now.
func (w *Worker) Update(pod *corev1.Pod) {
	w.reporter.writer.Observe(pod)
	current := w.board.update(pod)
	w.deps.Updates.Sync(current)
	w.deps.Volumes.Sync(current)
	w.board.signal()
}

// Remove tells the worker that the API has the pod no more; pod is how it was last.
func (w *Worker) Remove(pod *corev1.Pod) {
	w.reporter.writer.Observe(pod)
	w.board.remove(pod)
	w.board.signal()
}

// Kick makes the worker look at the runtime.
func (w *Worker) Kick() {
	w.board.markDirty()
	w.board.signal()
}

// Poke makes the worker try again what failed before a container existed.
func (w *Worker) Poke() { w.board.poke() }

// RuntimeEvent tells the worker what happened to a container or sandbox of the pod.
func (w *Worker) RuntimeEvent(e cri.Event) {
	if e.Kind == cri.EventExited {
		w.probes.ended(e.ID)
	}
	w.board.event(e)
	w.board.signal()
}

// Replace has a container replaced by a new one. done is closed when that runs.
func (w *Worker) Replace(r onupdate.Restart) (done <-chan struct{}) {
	done = w.board.replacing(r)
	w.board.signal()
	return done
}

// Run steps until the pod is gone everywhere or ctx ends; a step under way ends first.
// It reports whether the pod is gone.
func (w *Worker) Run(ctx context.Context) (gone bool) {
	w.reporter.writer.Start(ctx)
	defer w.reporter.writer.Stop()
	defer w.volumes.cancel()
	defer w.releaseObjects()
	defer w.hooks.end()
	defer w.probes.ended("")
	timer := w.deps.Clock.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-w.board.wake:
		case <-timer.C():
		}
		pause, done := w.step(ctx)
		if done {
			return true
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
func (w *Worker) step(ctx context.Context) (pause time.Duration, done bool) {
	wait, interrupt := context.WithCancel(ctx)
	defer interrupt()
	now, dirty, poked := w.board.begin(interrupt)
	s := &step{pod: now.Pod, gone: now.Gone, ctx: ctx, wait: wait}
	if dirty {
		p, err := w.observer.refresh(ctx)
		if err != nil {
			if ctx.Err() == nil {
				w.log("runtime state not read", "error", err)
			}
			w.board.markDirty()
			return again, false
		}
		pause = p
	}
	if poked {
		for _, c := range w.containers {
			c.Retry = lifecycle.Retry{}
		}
	}
	failed := w.hooks.collect(s)
	w.probes.follow(s.pod)
	if s.gone || s.pod.DeletionTimestamp != nil {
		if w.ended {
			return 0, s.gone
		}
		p := w.end(s)
		return p, w.ended && s.gone
	}
	pause = lifecycle.Sooner(pause, w.advance(s, failed))
	return lifecycle.Sooner(pause, w.followSubPaths(s.ctx, s.pod)), false
}
