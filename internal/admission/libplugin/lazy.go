package policy

import (
	"context"
	"sync"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/informers"
)

// lazy is a plugin of the library that is made once there is a binding for it.
type lazy[P any] struct {
	bindings schema.GroupResource
	stored   <-chan struct{}
	make     func() (*P, error)
	mu       sync.Mutex // held while it is made
	made     atomic.Pointer[P]
}

func newLazy[P any](c Config, bindings string, make func() (*P, error)) *lazy[P] {
	of := resource(bindings)
	return &lazy[P]{bindings: of, stored: c.Stored(of), make: make}
}

// begin makes the plugin, unless it is made.
func (l *lazy[P]) begin() (*P, error) {
	if p := l.made.Load(); p != nil {
		return p, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.made.Load(); p != nil {
		return p, nil
	}
	p, err := l.make()
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	l.made.Store(p)
	return p, nil
}

// of returns the plugin if it is to be asked about a request. The one that creates the first
// binding makes it, so that none that comes after the answer is missed. Where there are
// bindings and it cannot be made nothing is let through.
func (l *lazy[P]) of(a admission.Attributes) (*P, error) {
	if p := l.made.Load(); p != nil {
		return p, nil
	}
	if a.GetOperation() == admission.Create && !a.IsDryRun() && a.GetResource().GroupResource() == l.bindings {
		return l.begin()
	}
	if !closed(l.stored) {
		return nil, nil
	}
	return l.begin()
}

// await begins with the first binding, which another server may have stored.
func (l *lazy[P]) await(ctx context.Context) {
	select {
	case <-l.stored:
		_, _ = l.begin() // of tries again, and tells
	case <-ctx.Done():
	}
}

// now returns the plugin if there are bindings.
func (l *lazy[P]) now() *P {
	if !closed(l.stored) {
		return nil
	}
	p, _ := l.begin() // of tries again, and tells
	return p
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// lasting are informers that live as long as the plugins. The library starts those of
// parameters for as long as a policy names their kind; a factory would hand out one that has
// ended as if it still followed.
type lasting struct {
	informers.SharedInformerFactory
	ended <-chan struct{}
}

// Start implements informers.SharedInformerFactory.
func (l *lasting) Start(<-chan struct{}) { l.SharedInformerFactory.Start(l.ended) }
