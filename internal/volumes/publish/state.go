package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/internal/volumes/tokencache"
	"laterna.dev/laterna/projection"
	"laterna.dev/laterna/projection/atomicdir"
)

// pod is a pod whose volumes are made.
type pod struct {
	uid  types.UID
	spec atomic.Pointer[corev1.Pod] // the latest; only read
	// version is that of the first pod that showed what spec shows: it does not follow
	// changes of the status.
	version atomic.Pointer[string]
	ctx     context.Context // ends when the pod is torn down
	end     context.CancelFunc
	busy    sync.WaitGroup // goroutines that work for the pod
	taken   taken

	mu      sync.Mutex // guards volumes, and orders teardown after setup
	volumes map[string]*volume
}

func newPod(ctx context.Context, spec *corev1.Pod) *pod {
	p := &pod{uid: spec.UID, volumes: map[string]*volume{}}
	p.ctx, p.end = context.WithCancel(ctx)
	p.spec.Store(spec)
	version := spec.ResourceVersion
	p.version.Store(&version)
	return p
}

func (p *pod) volume(name string) *volume {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.volumes[name]
}

// inOrder returns the volumes by name.
func (p *pod) inOrder() []*volume {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*volume, 0, len(p.volumes))
	for _, v := range p.volumes {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b *volume) int { return strings.Compare(a.source.Name, b.source.Name) })
	return all
}

// waiting describes the volumes that are not ready.
func (p *pod) waiting() (names []string) {
	for _, v := range p.inOrder() {
		if v.isReady() {
			continue
		}
		text := fmt.Sprintf("volume %q", v.source.Name)
		if problem := v.problem(); problem != "" {
			text += " (" + problem + ")"
		}
		names = append(names, text)
	}
	return names
}

// volume is one volume of a pod.
type volume struct {
	pub        *Publisher
	pod        *pod
	source     *corev1.Volume // part of the pod's spec, which cannot change
	index      int            // in spec.volumes
	place      Place
	sources    []source
	tokenFiles []tokenFile
	onlyTokens *corev1.Volume // the part of source that has them, nil when there is none
	tokens     map[tokencache.Request]projection.TokenRef
	kept       map[objects.Key]*objects.Reference // of the sources; set before any worker sees it
	account    *objects.Reference                 // of the tokens, nil where there are none; set with kept
	ready      chan struct{}                      // closed when the volume is first whole
	told       Status                             // belongs to the worker that has the volume

	mu       sync.Mutex // held by the worker that has the volume; guards what follows
	closed   bool
	opened   bool
	content  *atomicdir.Dir // of volumes that show API content, once opened
	untold   bool           // files changed without a Publication
	trial    *trial         // content that the gate looks at
	rejected rejection

	state    sync.Mutex // guards what follows
	shown    shown      // changed with mu held too, so that its holder may read it
	unseen   bool       // an earlier process may have published; shown does not say yet
	failure  error      // why the last attempt failed
	failures int        // in a row
	note     string     // why the volume is not up to date although nothing failed
	nextTell time.Time  // no event before
	timer    clock.Timer
	asking   map[tokencache.Request]bool
	refused  map[tokencache.Request]error
}

func (pub *Publisher) newVolume(p *pod, spec *corev1.Pod, index int) *volume {
	source := &spec.Spec.Volumes[index]
	v := &volume{
		pub: pub, pod: p, source: source, index: index, place: pub.cfg.Place(p.ctx, spec, index), ready: make(chan struct{}),
		tokens: map[tokencache.Request]projection.TokenRef{}, kept: map[objects.Key]*objects.Reference{},
		asking: map[tokencache.Request]bool{}, refused: map[tokencache.Request]error{},
	}
	v.sources, v.tokenFiles, v.onlyTokens = sourcesOf(spec, source), tokenFilesOf(source), onlyTokens(source)
	for _, t := range v.tokenFiles {
		v.tokens[v.request(spec, t.ref)] = t.ref
	}
	return v
}

func (v *volume) request(spec *corev1.Pod, r projection.TokenRef) tokencache.Request {
	return tokencache.Request{
		Namespace: spec.Namespace, ServiceAccount: spec.Spec.ServiceAccountName,
		Audience: r.Audience, ExpirationSeconds: r.ExpirationSeconds,
		PodName: spec.Name, PodUID: spec.UID,
	}
}

func (v *volume) isReady() bool {
	select {
	case <-v.ready:
		return true
	default:
		return false
	}
}

// problem says why the volume is not up to date, "" when it is.
func (v *volume) problem() string {
	v.state.Lock()
	defer v.state.Unlock()
	if v.failure != nil {
		return v.failure.Error()
	}
	return v.note
}

// CheckSegment tells why name cannot be a directory's name.
func CheckSegment(name string) error {
	if err := atomicdir.CheckPath(name); err != nil {
		return err
	}
	if strings.Contains(name, "/") {
		return errors.New("must not contain '/'")
	}
	return nil
}

// fit has the place follow the pod's limits. The caller holds v.mu.
func (v *volume) fit(out *outcome) {
	if !v.opened {
		return
	}
	if again := v.place.Fit(out.spec); again > 0 {
		out.later(again)
	}
}

// close waits for the worker that is at it and lets no other begin.
func (v *volume) close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	v.state.Lock()
	if v.timer != nil {
		v.timer.Stop()
	}
	v.state.Unlock()
	return v.place.Close()
}
