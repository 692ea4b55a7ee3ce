package eviction

import (
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/podworker"
	"laterna.dev/laterna/internal/wait"
)

const (
	// lookEvery is how often the machine is looked at: two small files.
	lookEvery = time.Second
	// settle is how long after the end of a pod it is seen what that gave back.
	settle = 2 * time.Second
	// endTime is how long a pod may take to end before another one goes.
	endTime = 30 * time.Second
	// DefaultTransition is how long a node says that it is short after it is not any more,
	// as upstream.
	DefaultTransition = 5 * time.Minute
)

// Settings say when pods are evicted.
type Settings struct {
	Thresholds Thresholds
	// Transition is how long the node says that it is short after it is not any more.
	Transition time.Duration
}

// Machine is what is left of it. All fields are required.
type Machine struct {
	// Memory and PIDs return what is left of how much. What is not known is never short.
	Memory func() (left, all int64, known bool)
	PIDs   func() (left, all int64, known bool)
	// Usage is what a pod takes, and its containers by the runtime's ID.
	Usage func(uid types.UID) (cgroups.Usage, map[string]cgroups.Usage, error)
}

// Config of a Keeper. All fields are required.
type Config struct {
	Settings
	Machine Machine
	// Pods are those that run.
	Pods func() []Pod
	// Changed is called when the node has become short, or not short any more.
	Changed func()
	// Reclaiming is called before a pod is evicted, with what is short.
	Reclaiming func(name corev1.ResourceName)
	Wall       clock.Wall
	Log        *slog.Logger
}

// Pod is a pod that runs.
type Pod struct {
	*corev1.Pod
	// Containers has the names of its containers on the runtime, by ID.
	Containers map[string]string
	// Evict ends it.
	Evict func(message string)
	// Running tells whether it still has something that runs.
	Running func() bool
}

// PodsOf are the pods of workers that run, but for those that are about to go anyway.
func PodsOf(workers []*podworker.Worker) (all []Pod) {
	for _, w := range workers {
		s := w.Snapshot()
		if s.Gone || s.Refused != nil || s.API.DeletionTimestamp != nil || lifecycle.Final(s.Reported().Status.Phase) {
			continue
		}
		p := Pod{Pod: s.API, Containers: map[string]string{}, Evict: w.EvictForNode, Running: func() bool {
			now := w.Snapshot()
			return !now.Gone && len(now.Running()) > 0
		}}
		for _, c := range s.Running() {
			p.Containers[c.ID] = c.Name
		}
		if len(p.Containers) > 0 {
			all = append(all, p)
		}
	}
	return all
}

// Keeper watches over one node. Pressed may be called concurrently with Run.
type Keeper struct {
	cfg Config

	mu sync.Mutex
	// short is when the node was last short, by resource; none when it never was.
	short map[corev1.ResourceName]time.Time

	// going is the pod that was evicted last, until what it gave back is seen. They belong to
	// the goroutine of Run.
	going *Pod
	since time.Time // when it was evicted, and later when it had ended
	ended bool
	none  bool // nobody could be evicted, which was said
}

// New makes a Keeper, which has looked at nothing yet.
func New(cfg Config) *Keeper { return &Keeper{cfg: cfg, short: map[corev1.ResourceName]time.Time{}} }

// shortage is what is left and what should be.
type shortage struct{ left, wanted int64 }

// look measures one resource, and notes when it is short.
func (k *Keeper) look(of kind) (s shortage, short bool) {
	read, t := k.cfg.Machine.Memory, k.cfg.Thresholds.memory
	if of == pids {
		read, t = k.cfg.Machine.PIDs, k.cfg.Thresholds.pids
	}
	left, all, known := read()
	s = shortage{left, t.of(all)}
	if short = known && left < s.wanted; short {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.short[of.name] = k.cfg.Wall.Now()
	}
	return s, short
}

// said tells whether the node says that it is short.
func (k *Keeper) said(of kind) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	last, ever := k.short[of.name]
	return ever && k.cfg.Wall.Since(last) < max(k.cfg.Transition, lookEvery)
}

// Pressed looks at the machine and tells what the node says that it is short of.
func (k *Keeper) Pressed() (memoryShort, pidsShort bool) {
	k.look(memory)
	k.look(pids)
	return k.said(memory), k.said(pids)
}

// Run looks at the machine once a second until ctx ends, and has pods evicted while it is
// short: one, and when that has ended and it still is, the next.
func (k *Keeper) Run(ctx context.Context) {
	before := [2]bool{}
	for wait.Pause(ctx, k.cfg.Wall, lookEvery) {
		memoryLeft, memoryShort := k.look(memory)
		pidsLeft, pidsShort := k.look(pids)
		if now := [2]bool{k.said(memory), k.said(pids)}; now != before {
			k.tell(before, now, memoryLeft, pidsLeft)
			before = now
		}
		switch waiting := k.waits(); {
		case waiting:
		case memoryShort:
			k.relieve(memory, memoryLeft)
		case pidsShort:
			k.relieve(pids, pidsLeft)
		default:
			k.none = false
		}
	}
}

// tell tells of a change.
func (k *Keeper) tell(before, now [2]bool, memoryLeft, pidsLeft shortage) {
	for i, of := range []kind{memory, pids} {
		left := []shortage{memoryLeft, pidsLeft}[i]
		switch {
		case now[i] && !before[i]:
			k.cfg.Log.Warn("the node is short", "of", of.name, "left", of.amount(left.left), "threshold", of.amount(left.wanted))
		case !now[i] && before[i]:
			k.cfg.Log.Info("the node is not short any more", "of", of.name, "left", of.amount(left.left))
		}
	}
	k.cfg.Changed()
}

// relieve evicts one pod.
func (k *Keeper) relieve(of kind, s shortage) {
	m := victim(of, k.measure())
	if m == nil {
		if !k.none {
			k.cfg.Log.Error("the node is short, and no pod can be evicted: end other programs of the machine, or lower --eviction-hard", "of", of.name, "left", of.amount(s.left), "threshold", of.amount(s.wanted))
		}
		k.none = true
		return
	}
	k.cfg.Reclaiming(of.name)
	k.cfg.Log.Warn("evicting a pod of a node that is short", "of", of.name, "namespace", m.Namespace, "pod", m.Name, "memory", m.Usage.Memory, "pids", m.Usage.Pids)
	m.Evict(message(of, s, m))
	k.going, k.since, k.ended = &m.Pod, k.cfg.Wall.Now(), false
}

// waits tells whether what the last evicted pod gives back is still to be waited for.
func (k *Keeper) waits() bool {
	if k.going == nil {
		return false
	}
	now := k.cfg.Wall.Now()
	if !k.ended && !k.going.Running() {
		k.ended, k.since = true, now
	}
	if k.ended && now.Sub(k.since) < settle || !k.ended && now.Sub(k.since) < endTime {
		return true
	}
	k.going = nil
	return false
}

// measure measures the pods. One that cannot be measured takes nothing.
func (k *Keeper) measure() []*measured {
	var all []*measured
	for _, p := range k.cfg.Pods() {
		m := &measured{Pod: p, each: map[string]cgroups.Usage{}}
		used, each, err := k.cfg.Machine.Usage(p.UID)
		if err != nil {
			k.cfg.Log.Debug("what a pod takes is not known", "namespace", p.Namespace, "pod", p.Name, "error", err)
			continue
		}
		m.Usage = used
		for id, u := range each {
			if name, ok := p.Containers[id]; ok {
				m.each[name] = u
			}
		}
		all = append(all, m)
	}
	return all
}
