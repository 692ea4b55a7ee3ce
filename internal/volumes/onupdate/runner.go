package onupdate

import (
	"context"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/volumes/publish"
)

// Runner carries out the rules of a node's pods. Its methods may be called
// concurrently; Check alone waits.
type Runner struct {
	ctx context.Context
	cfg Config

	mu   sync.Mutex
	pods map[types.UID]*podState
}

var _ publish.Gate = &Runner{}

// New returns a Runner whose actions end with ctx.
func New(ctx context.Context, cfg Config) *Runner {
	return &Runner{ctx: ctx, cfg: cfg, pods: map[types.UID]*podState{}}
}

// Wait returns when nothing is under way any more, after ctx has ended.
func (r *Runner) Wait() {
	r.mu.Lock()
	all := slices.Collect(maps.Values(r.pods))
	r.mu.Unlock()
	for _, st := range all {
		st.mu.Lock() // whoever is about to begin something has begun
		st.mu.Unlock()
		st.busy.Wait()
	}
}

// Published has the actions of an update run. It is for publish.Config.Published.
func (r *Runner) Published(pod *corev1.Pod, p publish.Publication) {
	st := r.state(pod)
	r.read(st, pod)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.generations[p.Volume] = p.Generation
	if p.First {
		if len(st.rules) > 0 {
			r.begin(st, func() { r.remember(st) })
		}
		return
	}
	r.freshen(st, p.Volume)
	r.schedule(st, p.Volume, p.Generation, nil)
}

// Sync tells that a pod has changed: the rules may be others from the next update on.
func (r *Runner) Sync(pod *corev1.Pod) {
	if _, has := annotation(pod); !has && r.find(pod.UID) == nil {
		return
	}
	st := r.state(pod)
	if !r.read(st, pod) {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.rules) > 0 {
		r.begin(st, func() { r.remember(st) })
	}
}

// Forget ends what is under way for a pod and forgets it. It is called before the
// pod's directory is removed.
func (r *Runner) Forget(uid types.UID) {
	r.mu.Lock()
	st := r.pods[uid]
	delete(r.pods, uid)
	r.mu.Unlock()
	if st == nil {
		return
	}
	st.mu.Lock()
	st.end() // with mu held, so that nothing begins after it
	st.mu.Unlock()
	st.busy.Wait()
}

// Outcomes are how a pod's rules ended the last time, in the order of the volumes'
// names, checks first. They outlive the agent.
func (r *Runner) Outcomes(uid types.UID) []Outcome {
	st := r.find(uid)
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.outcomes)
}

func (r *Runner) find(uid types.UID) *podState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pods[uid]
}

// state is what is known of a pod, made when it is new.
func (r *Runner) state(pod *corev1.Pod) *podState {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.pods[pod.UID]
	if st == nil {
		st = newPodState(r.ctx, pod)
		r.pods[pod.UID] = st
	}
	return st
}

// begin runs work of a pod beside the caller, who holds st.mu.
func (r *Runner) begin(st *podState, work func()) {
	if st.ctx.Err() == nil {
		st.busy.Go(work)
	}
}

// freshen brings subPath mounts of a volume up to date. Calls that come while one is
// under way are one more. The caller holds st.mu.
func (r *Runner) freshen(st *podState, volume string) {
	if r.cfg.Fresh == nil {
		return
	}
	_, running := st.freshening[volume]
	st.freshening[volume] = true
	if running {
		return
	}
	r.begin(st, func() {
		for {
			st.mu.Lock()
			again, pod := st.freshening[volume], st.pod
			if again {
				st.freshening[volume] = false
			} else {
				delete(st.freshening, volume)
			}
			st.mu.Unlock()
			if !again {
				return
			}
			r.cfg.Fresh(st.ctx, pod, volume)
		}
	})
}

// changed tells that there are new outcomes.
func (r *Runner) changed(uid types.UID) {
	if r.cfg.Changed != nil {
		r.cfg.Changed(uid)
	}
}
