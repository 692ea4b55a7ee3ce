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

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/projection"
)

// Kind of an object, as it is called in errors.
type Kind = projection.ObjectKind

// The kinds that are kept.
const (
	Secret    = projection.Secret
	ConfigMap = projection.ConfigMap
	// ServiceAccount is kept for those who have its tokens.
	ServiceAccount Kind = "serviceaccount"
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
	Clock clock.API
	Log   *slog.Logger
}

// Cache keeps referenced objects. Its methods may be called concurrently.
type Cache struct {
	ctx     context.Context
	clock   clock.API
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
	refs  map[*Reference]struct{}
	stop  context.CancelFunc
	known chan struct{} // closed with the first answer
	// The last answer: an object, or why there is none.
	object metav1.Object
	err    error
}

// Reference keeps an object for one user.
type Reference struct {
	cache   *Cache
	entry   *entry
	changed func()
}

// Keep begins to keep an object, or shares it with who keeps it already, until
// Release is called. changed, unless nil, is called after every change of the answer:
// first when the object or its absence is known, then when it appears, changes or
// goes. It runs on the watch's goroutine and must return quickly; it may be called
// once more while Release runs. An immutable object is followed like any other: it may be
// deleted and made anew with other content, which volumes and environments show alike.
func (c *Cache) Keep(key Key, changed func()) *Reference {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		e = c.follow(key)
	}
	r := &Reference{c, e, changed}
	e.refs[r] = struct{}{}
	return r
}

// follow makes an entry.
func (c *Cache) follow(key Key) *entry {
	ctx, stop := context.WithCancel(c.ctx)
	e := &entry{key: key, refs: map[*Reference]struct{}{}, stop: stop, known: make(chan struct{})}
	c.entries[key] = e
	w := &watcher{cache: c, entry: e, source: c.sources[key.Kind]}
	c.running.Go(func() { w.run(ctx) })
	return e
}

// Acquire is Keep for who reads with Get.
func (c *Cache) Acquire(key Key, changed func()) (release func()) {
	return c.Keep(key, changed).Release
}

// Release ends the reference. It may be called again.
func (r *Reference) Release() {
	c, e := r.cache, r.entry
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(e.refs, r)
	if len(e.refs) > 0 {
		return
	}
	delete(c.entries, e.key)
	e.stop()
}

// Peek returns the last answer without waiting; known is false before the first one.
// The object is shared: it must not be changed. For a missing object the error
// satisfies apierrors.IsNotFound and reads `secret "x" not found`.
func (r *Reference) Peek() (object metav1.Object, err error, known bool) {
	return r.cache.peek(r.entry)
}

func (c *Cache) peek(e *entry) (object metav1.Object, err error, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !answered(e) {
		return nil, nil, false
	}
	return e.object, e.err, true
}

// Get returns an object that is kept, waiting for the first answer. One that nobody
// keeps is read from the API.
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
	object, err, _ := c.peek(e)
	return object, err
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
	return sameObject(e.object, object)
}

func sameObject(a, b metav1.Object) bool {
	return a.GetUID() == b.GetUID() && a.GetResourceVersion() == b.GetResourceVersion()
}

// named gives the error for a missing object the text that users know.
func named(key Key, err error) error {
	if apierrors.IsNotFound(err) {
		return apierrors.NewNotFound(corev1.Resource(string(key.Kind)), key.Name)
	}
	return err
}
