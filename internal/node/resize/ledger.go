package resize

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// Config is what a Ledger needs; all is required.
type Config struct {
	// Root is the data directory.
	Root    string
	Runtime Runtime
	Groups  Groups
	// Memory is how much the machine has, in bytes.
	Memory int64
	Events Events
	// Refuse says why a pod, with what its spec asks for, has no room on the node beside
	// the others with what View shows of them; it has room when the reason is empty. It is
	// called by Consider alone.
	Refuse func(*corev1.Pod) (reason, message string)
	// Wall is real time.
	Wall clock.Wall
	Log  *slog.Logger
}

// Runtime changes the limits of containers, see cri.Client.
type Runtime interface {
	UpdateContainer(ctx context.Context, id string, r cri.Resources) error
}

// Groups are the control groups of pods. ChangePod and MemoryUsed give fs.ErrNotExist
// where there is none.
type Groups interface {
	MakePod(uid types.UID, l cgroups.Limits) error
	ChangePod(uid types.UID, l cgroups.Limits) error
	// MemoryUsed is in bytes, of a container by its ID or, with "", of the whole pod.
	MemoryUsed(uid types.UID, container string) (int64, error)
}

// Events records Events.
type Events interface {
	Event(about apiruntime.Object, eventType, reason, message string)
}

// Ledger knows what the pods of the node are allocated. It is safe for concurrent use.
type Ledger struct {
	cfg  Config
	root *os.Root
	kick chan struct{}

	mu   sync.Mutex
	pods map[types.UID]*entry
}

// entry is what is known of a pod.
type entry struct {
	record
	// pending is why the pod does not get what it asks for, progress what it gets and does
	// not have yet. Each is nil when there is no such thing.
	pending, progress *state
}

// state is what a condition tells beside its type.
type state struct {
	reason, message string
	generation      int64
}

// Open opens the ledger in the data directory. Close it in the end.
func Open(cfg Config) (*Ledger, error) {
	dir := filepath.Join(cfg.Root, directory)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the records of allocations: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the records of allocations: %w", err)
	}
	return &Ledger{cfg: cfg, root: root, kick: make(chan struct{}, 1), pods: map[types.UID]*entry{}}, nil
}

// Close gives the directory up.
func (l *Ledger) Close() error { return l.root.Close() }

// Add begins to know a pod that the node has taken, by its record or, for a new one, by
// its spec. It may be called again.
func (l *Ledger) Add(pod *corev1.Pod) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pods[pod.UID] != nil {
		return
	}
	r, err := l.read(pod.UID)
	if err != nil {
		if !os.IsNotExist(err) {
			l.cfg.Log.Warn("what a pod is allocated is taken from its status", "namespace", pod.Namespace, "pod", pod.Name, "error", err)
		}
		r = record{}
		r.Allocated, r.Actuated = told(pod)
		l.keep(pod.UID, r)
	}
	l.pods[pod.UID] = &entry{record: r, pending: stateOf(pod, corev1.PodResizePending), progress: stateOf(pod, corev1.PodResizeInProgress)}
}

// stateOf is what the API has of a condition, nil when it does not hold.
func stateOf(pod *corev1.Pod, t corev1.PodConditionType) *state {
	for _, c := range pod.Status.Conditions {
		if c.Type == t && c.Status == corev1.ConditionTrue {
			return &state{c.Reason, c.Message, c.ObservedGeneration}
		}
	}
	return nil
}

// Forget drops a pod that is gone everywhere.
func (l *Ledger) Forget(uid types.UID) {
	defer l.roomChanged()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pods, uid)
	if err := l.root.Remove(string(uid) + suffix); err != nil && !os.IsNotExist(err) {
		l.cfg.Log.Warn("record of an allocation not removed", "uid", uid, "error", err)
	}
}

// View is a pod with what it is allocated in place of what its spec asks for: what it is
// run with, and what it sees of itself. It shares all else.
func (l *Ledger) View(pod *corev1.Pod) *corev1.Pod {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.pods[pod.UID]; e != nil {
		return e.Allocated.in(pod)
	}
	return pod
}

// Told is what the status of a pod tells of its resizing: the conditions, without their
// times, and what the pod has.
func (l *Ledger) Told(uid types.UID) (conditions []corev1.PodCondition, actual Amounts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.pods[uid]
	if e == nil {
		return nil, Amounts{}
	}
	for _, c := range []struct {
		of  corev1.PodConditionType
		has *state
	}{{corev1.PodResizePending, e.pending}, {corev1.PodResizeInProgress, e.progress}} {
		if c.has != nil {
			conditions = append(conditions, corev1.PodCondition{
				Type: c.of, Status: corev1.ConditionTrue, Reason: c.has.reason, Message: c.has.message, ObservedGeneration: c.has.generation,
			})
		}
	}
	return conditions, e.Actuated
}

// Consider decides whether a pod, as the API has it, gets what it asks for now. It may
// have given something back, or have ended: others are looked at again soon. Pods are
// considered one after the other, which is for the caller to see to.
func (l *Ledger) Consider(pod *corev1.Pod) {
	l.consider(pod)
	l.roomChanged()
}

func (l *Ledger) consider(pod *corev1.Pod) {
	l.mu.Lock()
	e := l.pods[pod.UID]
	if e == nil {
		l.mu.Unlock()
		return
	}
	wanted := of(&pod.Spec)
	if lifecycle.Final(pod.Status.Phase) || pod.DeletionTimestamp != nil || wanted.equal(e.Allocated) {
		e.pending = nil
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	reason, message := l.cfg.Refuse(pod) // which looks at others' allocations
	l.mu.Lock()
	defer l.mu.Unlock()
	if reason == "" {
		e.Allocated, e.pending, e.progress = wanted, nil, &state{generation: pod.Generation}
		l.keep(pod.UID, e.record)
		l.event(pod, corev1.EventTypeNormal, events.ResizeStarted, "started", pod.Generation, "")
		return
	}
	was := e.pending
	e.pending = &state{corev1.PodReasonDeferred, message, pod.Generation}
	event := events.ResizeDeferred
	if reason == corev1.PodReasonInfeasible {
		e.pending.reason, event = reason, events.ResizeInfeasible
	}
	if was == nil || was.generation != pod.Generation || was.reason != e.pending.reason {
		l.event(pod, corev1.EventTypeWarning, event, reason, pod.Generation, message)
	}
}

// The pauses before those that wait for room are looked at again, as upstream's.
const (
	firstRetry = 30 * time.Second
	laterRetry = 3 * time.Minute
)

// roomChanged has the pods that wait for room looked at again soon.
func (l *Ledger) roomChanged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.pods {
		if e.pending != nil {
			select {
			case l.kick <- struct{}{}:
			default:
			}
			return
		}
	}
}

// Run calls round each time Retry is to be called, until ctx ends.
func (l *Ledger) Run(ctx context.Context, round func()) {
	for pause := firstRetry; ; pause = laterRetry {
		timer := l.cfg.Wall.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		case <-l.kick:
			timer.Stop()
		}
		round()
	}
}
