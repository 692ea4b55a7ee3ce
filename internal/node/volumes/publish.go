package volumes

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/objects"
	"laterna.dev/laterna/internal/node/tokencache"
	"laterna.dev/laterna/projection"
	"laterna.dev/laterna/projection/atomicdir"
)

// errPending says that something is on its way and will mark the volume again.
var errPending = errors.New("not known yet")

func (m *Manager) work() {
	for {
		v, shutdown := m.queue.Get()
		if shutdown {
			return
		}
		m.refresh(v)
		m.queue.Done(v)
	}
}

// refresh brings a volume up to date: the only way by which files change.
func (m *Manager) refresh(v *volume) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	err := m.mount(v)
	if err == nil && v.content != nil {
		err = m.publish(v)
	}
	switch {
	case errors.Is(err, errPending):
	case err != nil:
		m.failed(v, err)
	default:
		m.succeeded(v)
	}
}

// publish projects the volume and swaps it in. The caller holds v.mu.
func (m *Manager) publish(v *volume) error {
	if !m.known(v) {
		return errPending
	}
	tree, err := projection.Volume(v.pod.spec.Load(), v.source, m.sources(v))
	if err != nil {
		return err
	}
	result, err := v.content.TryPublish(tree)
	if errors.Is(err, atomicdir.ErrPath) {
		return err
	}
	if err != nil {
		return diskError{err}
	}
	if result.RetryAfter > 0 { // readers of older generations first
		m.again(v, result.RetryAfter)
		return errPending
	}
	if result.Changed {
		m.cfg.Log.Debug("published a volume", "volume", v.dir, "generation", result.Generation, "files", len(tree.Files))
	}
	return nil
}

// diskError is an error of the machine, of which no change of an object will tell
// when it is over.
type diskError struct{ error }

func (e diskError) Unwrap() error { return e.error }

// again marks v after a pause, in place of an earlier mark that is not due yet.
func (m *Manager) again(v *volume, wait time.Duration) {
	v.state.Lock()
	defer v.state.Unlock()
	m.arm(v, wait)
}

// arm is again for holders of v.state.
func (m *Manager) arm(v *volume, wait time.Duration) {
	if v.timer != nil {
		v.timer.Stop()
	}
	// Own goroutine: a test's clock may call back with its lock held.
	v.timer = m.cfg.Clock.AfterFunc(wait, func() { go m.queue.Add(v) })
}

// known tells whether there is an answer for everything that v shows, and asks for
// tokens that nobody has asked for.
func (m *Manager) known(v *volume) bool {
	all := true
	for _, key := range v.keys {
		_, _, known := m.cfg.Objects.Peek(key)
		all = all && known
	}
	for request := range v.tokens {
		if _, _, known := m.cfg.Tokens.Peek(request); !known && !m.ask(v, request) {
			all = false
		}
	}
	return all
}

func (m *Manager) sources(v *volume) projection.Sources {
	spec := v.pod.spec.Load()
	return projection.Sources{
		Secret: func(name string) (*corev1.Secret, error) {
			return peek[*corev1.Secret](m, objects.Key{Kind: objects.Secret, Namespace: spec.Namespace, Name: name})
		},
		ConfigMap: func(name string) (*corev1.ConfigMap, error) {
			return peek[*corev1.ConfigMap](m, objects.Key{Kind: objects.ConfigMap, Namespace: spec.Namespace, Name: name})
		},
		Token:       func(r projection.TokenRef) ([]byte, error) { return m.token(v, v.request(spec, r)) },
		Allocatable: m.cfg.NodeAllocatable(),
	}
}

func peek[T metav1.Object](m *Manager, key objects.Key) (none T, err error) {
	object, err, known := m.cfg.Objects.Peek(key)
	switch {
	case !known:
		return none, errPending
	case err != nil:
		return none, err
	}
	return object.(T), nil
}

func (m *Manager) token(v *volume, r tokencache.Request) ([]byte, error) {
	token, err, known := m.cfg.Tokens.Peek(r)
	if known {
		if err != nil {
			return nil, err
		}
		return token.Bytes(), nil
	}
	v.state.Lock()
	defer v.state.Unlock()
	if err := v.refused[r]; err != nil {
		return nil, err
	}
	return nil, errPending
}

const (
	// The pauses between tries for a pod's first token.
	firstAsk = 10 * time.Millisecond
	lastAsk  = 5 * time.Second
	// quietAsks is how many refusals go by before they count: the server may hear of
	// a new pod a moment after the agent does.
	quietAsks = 4
)

// ask fetches a first token in the background, once, until it is there. It returns
// whether there is an error to show meanwhile.
func (m *Manager) ask(v *volume, r tokencache.Request) (refused bool) {
	v.state.Lock()
	defer v.state.Unlock()
	if !v.asking[r] {
		v.asking[r] = true
		v.pod.busy.Go(func() { m.fetch(v, r) })
	}
	return v.refused[r] != nil
}

func (m *Manager) fetch(v *volume, r tokencache.Request) {
	ctx := v.pod.ctx
	for try := 1; ; try++ {
		_, err := m.cfg.Tokens.Token(ctx, r) // a new token marks the volume by itself
		if ctx.Err() != nil {
			return
		}
		v.state.Lock()
		v.asking[r] = err != nil
		if err == nil || try >= quietAsks {
			v.refused[r] = err
		}
		v.state.Unlock()
		if err == nil || try == quietAsks {
			m.queue.Add(v)
		}
		if err == nil {
			return
		}
		wait := min(firstAsk<<min(try-1, 10), lastAsk)
		timer := m.cfg.Clock.NewTimer(wait/2 + rand.N(wait/2))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
	}
}

const (
	// The pauses between events about an error: as Kubernetes',
	// pkg/util/goroutinemap/exponentialbackoff.
	firstTell = 500 * time.Millisecond
	lastTell  = 2*time.Minute + 2*time.Second
	// lastTry bounds the pause between tries after an error of the machine.
	lastTry = 5 * time.Second
)

// failed records why v is not up to date and tells it, now and again while it lasts.
// What is missing marks the volume by itself when it appears; an error of the
// machine does not, and is tried again.
func (m *Manager) failed(v *volume, err error) {
	now := m.cfg.Clock.Now()
	v.state.Lock()
	v.failure = err
	tell := v.failures == 0 || !now.Before(v.nextTell)
	if tell {
		v.nextTell = now.Add(min(firstTell<<min(v.failures, 10), lastTell))
		v.failures++
	}
	wait := v.nextTell.Sub(now)
	var disk diskError
	if errors.As(err, &disk) {
		wait = min(wait, lastTry)
	}
	m.arm(v, wait)
	v.state.Unlock()
	if tell {
		spec := v.pod.spec.Load()
		m.cfg.Event(spec, corev1.EventTypeWarning, "FailedMount", failedMount(v.source.Name, err))
		m.cfg.Log.Warn("a volume is not up to date", "volume", v.dir, "pod", spec.Name, "namespace", spec.Namespace, "error", err)
	}
}

func (m *Manager) succeeded(v *volume) {
	v.state.Lock()
	v.failure, v.failures = nil, 0
	if v.timer != nil {
		v.timer.Stop()
		v.timer = nil
	}
	v.state.Unlock()
	if !v.isReady() {
		close(v.ready)
	}
}

// failedMount is the event's message, in Kubernetes' form.
func failedMount(volume string, err error) string {
	return fmt.Sprintf("MountVolume.SetUp failed for volume %q : %v", volume, err)
}
