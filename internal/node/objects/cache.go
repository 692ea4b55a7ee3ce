package objects

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
)

// Kind of an object, as it is called in errors.
type Kind string

// The kinds that are kept.
const (
	Secret    Kind = "secret"
	ConfigMap Kind = "configmap"
)

// Key names one object.
type Key struct {
	Kind            Kind
	Namespace, Name string
}

// String returns kind/namespace/name, for logs.
func (k Key) String() string { return string(k.Kind) + "/" + k.Namespace + "/" + k.Name }

// Config of a cache. All fields are required.
type Config struct {
	// Client must not limit its own rate: a pod's start waits for these requests.
	Client kubernetes.Interface
	// Clock times the retries.
	Clock clock.Clock
	Log   *slog.Logger
}

// Cache keeps referenced objects. Its methods may be called concurrently.
type Cache struct {
	ctx     context.Context
	clock   clock.Clock
	log     *slog.Logger
	sources map[Kind]source

	mu      sync.Mutex
	entries map[Key]*entry
	running sync.WaitGroup
}

// New returns an empty cache. The end of ctx stops all of its watches.
func New(ctx context.Context, cfg Config) *Cache {
	return &Cache{ctx: ctx, clock: cfg.Clock, log: cfg.Log, sources: sourcesOf(cfg.Client), entries: map[Key]*entry{}}
}

// entry is one referenced object. The cache's mutex guards all of it.
type entry struct {
	key   Key
	refs  map[*reference]struct{}
	stop  context.CancelFunc
	known chan struct{} // closed with the first answer
	// The last answer: an object, or why there is none.
	object metav1.Object
	err    error
}

type reference struct{ changed func() }

// Acquire begins to keep an object, or shares it with who keeps it already, until
// release is called. changed, unless nil, is called after every change of the answer:
// first when the object or its absence is known, then when it appears, changes or
// goes. It runs on the watch's goroutine and must return quickly; it may be called
// once more while release runs.
func (c *Cache) Acquire(key Key, changed func()) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		ctx, stop := context.WithCancel(c.ctx)
		e = &entry{key: key, refs: map[*reference]struct{}{}, stop: stop, known: make(chan struct{})}
		c.entries[key] = e
		w := &watcher{cache: c, entry: e, source: c.sources[key.Kind]}
		c.running.Go(func() { w.run(ctx) })
	}
	r := &reference{changed}
	e.refs[r] = struct{}{}
	return func() { c.release(e, r) }
}

func (c *Cache) release(e *entry, r *reference) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(e.refs, r)
	if len(e.refs) == 0 && c.entries[e.key] == e {
		delete(c.entries, e.key)
		e.stop()
	}
}

// Peek returns the last answer for a kept object without waiting; known is false
// before the first one, and when nobody keeps the object. The object is shared: it
// must not be changed. For a missing object the error satisfies
// apierrors.IsNotFound and reads `secret "x" not found`.
func (c *Cache) Peek(key Key) (object metav1.Object, err error, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil || !answered(e) {
		return nil, nil, false
	}
	return e.object, e.err, true
}

// Get is Peek that waits for the first answer. An object that nobody keeps is read
// from the API.
func (c *Cache) Get(ctx context.Context, key Key) (metav1.Object, error) {
	c.mu.Lock()
	e := c.entries[key]
	c.mu.Unlock()
	if e == nil {
		object, err := c.sources[key.Kind].get(ctx, key)
		return object, named(key, err)
	}
	select {
	case <-e.known:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for %s %q: %w", key.Kind, key.Name, context.Cause(ctx))
	case <-c.ctx.Done():
		return nil, fmt.Errorf("waiting for %s %q: %w", key.Kind, key.Name, context.Cause(c.ctx))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return e.object, e.err
}

// Secret is Get for a Secret.
func (c *Cache) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	object, err := c.Get(ctx, Key{Secret, namespace, name})
	if err != nil {
		return nil, err
	}
	return object.(*corev1.Secret), nil
}

// ConfigMap is Get for a ConfigMap.
func (c *Cache) ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	object, err := c.Get(ctx, Key{ConfigMap, namespace, name})
	if err != nil {
		return nil, err
	}
	return object.(*corev1.ConfigMap), nil
}

// Wait returns when all watches have ended, after the context of New has.
func (c *Cache) Wait() { c.running.Wait() }

// answer stores what is known of an object and tells those who refer to it.
func (c *Cache) answer(e *entry, object metav1.Object, err error) {
	c.mu.Lock()
	if !answered(e) {
		close(e.known)
	} else if sameAnswer(e, object, err) {
		c.mu.Unlock()
		return
	}
	e.object, e.err = object, err
	calls := make([]func(), 0, len(e.refs))
	for r := range e.refs {
		if r.changed != nil {
			calls = append(calls, r.changed)
		}
	}
	c.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

func answered(e *entry) bool {
	select {
	case <-e.known:
		return true
	default:
		return false
	}
}

func sameAnswer(e *entry, object metav1.Object, err error) bool {
	if (e.object == nil) != (object == nil) {
		return false
	}
	if object == nil {
		return e.err.Error() == err.Error()
	}
	return e.object.GetUID() == object.GetUID() && e.object.GetResourceVersion() == object.GetResourceVersion()
}

// named gives the error for a missing object the text that users know.
func named(key Key, err error) error {
	if apierrors.IsNotFound(err) {
		return apierrors.NewNotFound(corev1.Resource(string(key.Kind)), key.Name)
	}
	return err
}
