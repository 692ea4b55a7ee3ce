package onupdate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/api"
	rules "laterna.dev/laterna/api/onupdate"
)

// podState is what a Runner knows of a pod.
type podState struct {
	uid  types.UID
	ctx  context.Context // ends with the pod
	end  context.CancelFunc
	busy sync.WaitGroup

	saving sync.Mutex // orders writing the memory

	mu   sync.Mutex // guards what follows
	pod  *corev1.Pod
	text string // of the annotation that rules were read from
	// rules are empty where the annotation is missing or bad.
	rules []rule
	// generations are the newest of all volumes.
	generations map[string]string
	lanes       map[string]*lane
	freshening  map[string]bool // volume → once more
	restarting  map[string]string
	outcomes    []Outcome
	limits      map[string]*bucket // of Events, by container
	// before is what the agent before this one left to do; nil when that is done.
	before *memory
}

// rule is a rule with what tells it from others.
type rule struct {
	rules.Rule
	key   string
	index int
}

func newPodState(ctx context.Context, pod *corev1.Pod) *podState {
	st := &podState{
		uid: pod.UID, pod: pod,
		generations: map[string]string{}, lanes: map[string]*lane{}, freshening: map[string]bool{},
		restarting: map[string]string{}, limits: map[string]*bucket{},
	}
	st.ctx, st.end = context.WithCancel(ctx)
	return st
}

func annotation(pod *corev1.Pod) (text string, has bool) {
	text, has = pod.Annotations[api.OnUpdate]
	return text, has
}

// read takes over the pod as it is now, and returns whether its annotation is another.
// A bad one has no rules; it is told once.
func (r *Runner) read(st *podState, pod *corev1.Pod) (changed bool) {
	text, has := annotation(pod)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.pod = pod
	if st.text == text {
		return false
	}
	st.text, st.rules = text, nil
	if has {
		st.rules = r.parse(pod, text)
	}
	st.outcomes = current(st.outcomes, st.rules)
	return true
}

// parse reads the rules of a pod. Bad ones are told and not honoured, none of them.
func (r *Runner) parse(pod *corev1.Pod, text string) (all []rule) {
	read, err := rules.Parse(text)
	if err == nil {
		err = rules.Validate(read, pod)
	}
	if err != nil {
		r.cfg.Event(pod, "", corev1.EventTypeWarning, ReasonInvalid, shorten(fmt.Sprintf("annotation %s is not honoured: %v", api.OnUpdate, err)))
		return nil
	}
	for i := range read {
		all = append(all, rule{Rule: read[i], key: keyOf(&read[i]), index: i})
	}
	return all
}

// keyOf names a rule by what it says, so that a remembered one is found again.
func keyOf(r *rules.Rule) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %v %q %d", r.Volumes, r.Container, r.Signal, r.Exec, r.Restart, r.Check, r.Timeout))
	return hex.EncodeToString(sum[:8])
}

// lane is what is to be done in one container.
type lane struct {
	jobs    map[string]*job // by rule, to be run
	running *job
	busy    bool // a goroutine is at it
	last    int  // index of the rule that ran last
}

// job is a rule that is to be run, with the updates that it is for.
type job struct {
	rule
	updates map[string]string // volume → generation
	// settled says that the job needs no second try by the next agent.
	settled bool
}

// volumes are the names of the volumes whose updates the job is for.
func (j *job) volumes() []string { return slices.Sorted(maps.Keys(j.updates)) }

// next takes the job that is to be run, nil when there is none: those of the
// annotation in turn, so that none waits for ever.
func (l *lane) next() *job {
	var first, after *job
	for _, j := range l.jobs {
		if first == nil || j.index < first.index {
			first = j
		}
		if j.index > l.last && (after == nil || j.index < after.index) {
			after = j
		}
	}
	if after != nil {
		first = after
	}
	l.running = first
	if first == nil {
		l.busy, l.last = false, -1
		return nil
	}
	delete(l.jobs, first.key)
	l.last = first.index
	return first
}

// schedule has the actions run that name a volume: all, or those of the given keys.
// The caller holds st.mu.
func (r *Runner) schedule(st *podState, volume, generation string, keys []string) {
	for _, k := range st.rules {
		if k.IsCheck() || !slices.Contains(k.Volumes, volume) || keys != nil && !slices.Contains(keys, k.key) {
			continue
		}
		l := st.lanes[k.Container]
		if l == nil {
			l = &lane{jobs: map[string]*job{}, last: -1}
			st.lanes[k.Container] = l
		}
		if l.jobs[k.key] == nil {
			l.jobs[k.key] = &job{rule: k, updates: map[string]string{}}
		}
		l.jobs[k.key].updates[volume] = generation
		if !l.busy {
			l.busy = true
			r.begin(st, func() { r.work(st, l) })
		}
	}
}

// work runs the jobs of a lane until there are none.
func (r *Runner) work(st *podState, l *lane) {
	for st.ctx.Err() == nil {
		st.mu.Lock()
		j := l.next()
		st.mu.Unlock()
		if j == nil {
			return
		}
		r.run(st, j)
	}
}
