package libplugin

import (
	"context"
	"sync"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/informers"
)

// Lazy is a plugin of the library that is made once there is an object for it.
type Lazy[P any] struct {
	of     schema.GroupResource
	stored <-chan struct{}
	make   func() (*P, error)
	mu     sync.Mutex // held while it is made
	made   atomic.Pointer[P]
}

// NewLazy returns a plugin that make makes with the first object of a resource. stored is
// closed once the store has one.
func NewLazy[P any](of schema.GroupResource, stored <-chan struct{}, make func() (*P, error)) *Lazy[P] {
	return &Lazy[P]{of: of, stored: stored, make: make}
}

// begin makes the plugin, unless it is made.
func (l *Lazy[P]) begin() (*P, error) {
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

// For returns the plugin if it is to be asked about a request. The one that creates the
// first object makes it, so that none that comes after the answer is missed. Where there are
// objects and it cannot be made nothing is let through.
func (l *Lazy[P]) For(a admission.Attributes) (*P, error) {
	if p := l.made.Load(); p != nil {
		return p, nil
	}
	if Creates(a, l.of) {
		return l.begin()
	}
	if !Closed(l.stored) {
		return nil, nil
	}
	return l.begin()
}

// Await begins with the first object, which another server may have stored.
func (l *Lazy[P]) Await(ctx context.Context) {
	select {
	case <-l.stored:
		_, _ = l.begin() // For tries again, and tells
	case <-ctx.Done():
	}
}

// Now returns the plugin if there are objects.
func (l *Lazy[P]) Now() *P {
	if !Closed(l.stored) {
		return nil
	}
	p, _ := l.begin() // For tries again, and tells
	return p
}

// Creates tells whether a request stores a new object of a resource.
func Creates(a admission.Attributes, of schema.GroupResource) bool {
	return a.GetOperation() == admission.Create && a.GetSubresource() == "" && !a.IsDryRun() && a.GetResource().GroupResource() == of
}

// Closed tells whether a channel is closed.
func Closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Lasting are informers that live until ended is closed, whatever a plugin starts them for.
// The library starts those of parameters for as long as a policy names their kind; a factory
// would hand out one that has ended as if it still followed.
func Lasting(f informers.SharedInformerFactory, ended <-chan struct{}) informers.SharedInformerFactory {
	return &lasting{f, ended}
}

type lasting struct {
	informers.SharedInformerFactory
	ended <-chan struct{}
}

// Start implements informers.SharedInformerFactory.
func (l *lasting) Start(<-chan struct{}) { l.SharedInformerFactory.Start(l.ended) }
