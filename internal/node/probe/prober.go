package probe

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
)

// Config is what a prober needs.
type Config struct {
	// Exec runs commands in containers.
	Exec Exec
	// Version is the API's, such as "1.37"; servers are told it.
	Version string
	// Wall is the schedule's. Deadlines of connections are the machine's.
	Wall clock.Wall
}

// Container is a container that runs.
type Container struct {
	Pod types.UID
	// Namespace and PodName are the pod's, for what is counted.
	Namespace, PodName string
	// ID is the runtime's.
	ID   string
	Spec *corev1.Container
	// Host is the pod's address.
	Host      string
	StartedAt time.Time
	// Before is what an earlier agent has found, nil when the container is new.
	Before *State
}

// Sink is told what is found. It is called by goroutines of the prober, one call at a
// time for a probe, and must not wait. A call may come after Watch.Stop.
type Sink interface {
	// Ran tells of a run that did not simply succeed.
	Ran(r Run)
	// Changed tells that the state is another one.
	Changed()
}

// Prober probes all containers of a node. Make it with New; all methods may be called
// concurrently.
type Prober struct {
	cfg      Config
	asker    asker
	counters *counters

	wake chan struct{} // holds one token

	mu     sync.Mutex
	ctx    context.Context // of Run; nil before and after
	waits  schedule
	flight flight
	runs   sync.WaitGroup
}

// New returns a prober that probes nothing before Run.
func New(cfg Config) *Prober {
	return &Prober{cfg: cfg, asker: newAsker(cfg), counters: newCounters(), wake: make(chan struct{}, 1), flight: flight{pods: map[types.UID]*load{}}}
}

// Run probes until ctx ends, and returns when the last probe has.
func (p *Prober) Run(ctx context.Context) {
	p.mu.Lock()
	p.ctx = ctx
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.ctx = nil
		p.mu.Unlock()
		p.runs.Wait()
	}()
	timer := p.cfg.Wall.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		pause := p.begin()
		if !timer.Stop() {
			select {
			case <-timer.C():
			default:
			}
		}
		if pause > 0 {
			timer.Reset(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-timer.C():
		}
	}
}

// begin starts what is due, and returns the pause before the next probe is, zero when
// there is none.
func (p *Prober) begin() (pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.launch()
	now := p.cfg.Wall.Now()
	for len(p.waits) > 0 {
		if left := p.waits[0].due.Sub(now); left > 0 {
			return left
		}
		p.flight.ask(heap.Pop(&p.waits).(*entry))
	}
	return 0
}

// signal has Run look at the schedule.
func (p *Prober) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Watch is the probing of one container.
type Watch struct {
	prober *Prober
	c      Container
	sink   Sink

	// The rest belongs to the prober's mutex.
	state   State
	entries [kinds]*entry
	stopped bool
	ending  bool
}

// entry is one probe of a container. It belongs to the prober's mutex but for what is
// set once.
type entry struct {
	watch *Watch
	kind  Kind
	spec  *corev1.Probe

	due    time.Time
	index  int // in the schedule, -1 when it is not there
	row    row
	over   bool               // it is not run again
	cancel context.CancelFunc // of the run under way, nil when there is none
}

// Watch begins to probe a container. It is called once for each.
func (p *Prober) Watch(c Container, sink Sink) *Watch {
	w := &Watch{prober: p, c: c, sink: sink, state: Unprobed(c.Spec)}
	if c.Before != nil {
		started := w.state.Started || c.Before.Started
		w.state = State{Started: started, Ready: started && (c.Spec.ReadinessProbe == nil || c.Before.Ready)}
	}
	for k := range kinds {
		if spec := k.of(c.Spec); spec != nil {
			w.entries[k] = &entry{watch: w, kind: k, spec: spec, index: -1}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w.schedule()
	p.signal()
	return w
}

// schedule has the probes begin that the container is ready for.
func (w *Watch) schedule() {
	for k, e := range w.entries {
		if e == nil || e.over || (Kind(k) == Startup) == w.state.Started || w.ending && Kind(k) != Readiness {
			continue
		}
		e.due = w.first(e)
		heap.Push(&w.prober.waits, e)
	}
}

// first is when a probe is run for the first time: at once, when its container has run
// for as long as the spec says. After the start of an agent those that only confirm what
// is known already are spread over their period.
func (w *Watch) first(e *entry) time.Time {
	now := w.prober.cfg.Wall.Now()
	at := w.c.StartedAt.Add(time.Duration(e.spec.InitialDelaySeconds) * time.Second)
	if at.Before(now) {
		at = now
	}
	if w.c.Before != nil && w.c.Before.Started && (e.kind == Liveness || e.kind == Readiness && w.state.Ready) {
		at = at.Add(rand.N(period(e.spec)))
	}
	return at
}

// State is what is known of the container now.
func (w *Watch) State() State {
	w.prober.mu.Lock()
	defer w.prober.mu.Unlock()
	return w.state
}

// Ending tells that the container is about to be stopped: it is only asked whether it is
// ready from now on.
func (w *Watch) Ending() {
	w.prober.mu.Lock()
	defer w.prober.mu.Unlock()
	if w.ending {
		return
	}
	w.ending = true
	for _, k := range []Kind{Startup, Liveness} {
		w.prober.drop(w.entries[k])
	}
}

// Stop ends the probing. It may be called again.
func (w *Watch) Stop() {
	w.prober.mu.Lock()
	defer w.prober.mu.Unlock()
	w.stopped = true
	for _, e := range w.entries {
		w.prober.drop(e)
	}
}

// drop has a probe not run again. A run under way is given up.
func (p *Prober) drop(e *entry) {
	if e == nil || e.over {
		return
	}
	e.over = true
	if e.index >= 0 {
		heap.Remove(&p.waits, e.index)
	}
	if e.cancel != nil {
		e.cancel()
	}
}

// launch runs what may be run now.
func (p *Prober) launch() {
	if p.ctx == nil || p.ctx.Err() != nil {
		return
	}
	for {
		e := p.flight.next()
		if e == nil {
			return
		}
		ctx, cancel := context.WithCancel(p.ctx)
		e.cancel = cancel
		p.runs.Go(func() {
			defer cancel()
			start := p.cfg.Wall.Now()
			r := p.asker.run(ctx, e.watch.c, e.kind, e.spec)
			p.ended(e, r, p.cfg.Wall.Since(start))
		})
	}
}

// ended notes how a run ended, and when the next one is.
func (p *Prober) ended(e *entry, r Run, took time.Duration) {
	w := e.watch
	changed, tell := p.note(e, r, took)
	if tell && r.Result != Success {
		w.sink.Ran(r)
	}
	if changed {
		w.sink.Changed()
	}
}

func (p *Prober) note(e *entry, r Run, took time.Duration) (changed, tell bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.cancel = nil
	p.flight.landed(e)
	defer p.launch()
	if e.over || p.ctx == nil || p.ctx.Err() != nil {
		return false, false
	}
	w := e.watch
	p.counters.count(w.c, r, took)
	if failed := r.Result == Failed; r.Result != Unknown && e.row.add(e.spec, failed) {
		was := w.state
		w.state, e.over = was.apply(e.kind, e.spec, failed, w.entries[Readiness] != nil)
		changed = w.state != was
		if w.state.Started && !was.Started {
			w.schedule()
		}
	}
	if !e.over {
		e.due = e.due.Add(period(e.spec))
		if now := p.cfg.Wall.Now(); e.due.Before(now) {
			e.due = now
		}
		heap.Push(&p.waits, e)
	}
	p.signal()
	return changed, true
}

// period is the time between two runs.
func period(p *corev1.Probe) time.Duration {
	return time.Duration(max(p.PeriodSeconds, 1)) * time.Second
}

// timeout is how long a run may take.
func timeout(p *corev1.Probe) time.Duration {
	return time.Duration(max(p.TimeoutSeconds, 1)) * time.Second
}
