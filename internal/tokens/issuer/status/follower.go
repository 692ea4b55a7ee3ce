// Package status lets a server issue and accept tokens as the status of
// kubeapiservers.operator.openshift.io/cluster says, whoever wrote it.
//
// It owns how that status is read, followed and confirmed. What is done with it is
// internal/tokens/issuer's, who writes it internal/controller/tokenissuer; agents follow it
// on their own (internal/volumes/issuerrevision).
package status

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/follow"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// Storage is the storage of kubeapiservers.
type Storage interface {
	Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error)
	List(ctx context.Context, options *internalversion.ListOptions) (runtime.Object, error)
	Watch(ctx context.Context, options *internalversion.ListOptions) (watch.Interface, error)
}

// Resource is whose status says the issuers.
var Resource = operatorv1.KubeAPIServers.GroupResource()

// Follower applies the status to a set of issuers. Its methods may be called
// concurrently.
type Follower struct {
	set     *issuer.Set
	storage Storage
	clock   clock.Wall
	log     *slog.Logger

	mu       sync.Mutex
	revision string // resource version of what is applied
}

// New returns a follower that does nothing yet. clk times retries.
func New(set *issuer.Set, storage Storage, clk clock.Wall, log *slog.Logger) *Follower {
	return &Follower{set: set, storage: storage, clock: clk, log: log}
}

// Load applies what the store says now. It is called before the first request is
// served, so that no token carries an issuer of the past.
func (f *Follower) Load(ctx context.Context) error {
	obj, err := f.storage.Get(ctx, operatorv1.Name, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the issuers of tokens: %w", err)
	}
	if k, ok := obj.(*operatorv1.KubeAPIServer); ok {
		f.apply(k)
	}
	return nil
}

// Run applies every change until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	f.object().Run(ctx, f.clock, follow.Handler[*operatorv1.KubeAPIServer]{
		Seen: func(_ context.Context, k *operatorv1.KubeAPIServer) error { f.apply(k); return nil },
		Failed: func(err error) bool {
			f.log.Warn("following the issuers of tokens failed, trying again", "error", err)
			return true
		},
	})
}

// object is whose status is followed.
func (f *Follower) object() follow.Object[*operatorv1.KubeAPIServer] {
	return follow.Object[*operatorv1.KubeAPIServer]{
		Name: operatorv1.Name,
		List: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			internal, err := internalOptions(options)
			if err != nil {
				return nil, err
			}
			return f.storage.List(ctx, internal)
		},
		Watch: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			internal, err := internalOptions(options)
			if err != nil {
				return nil, err
			}
			return f.storage.Watch(ctx, internal)
		},
	}
}

// internalOptions returns options as storages take them.
func internalOptions(options metav1.ListOptions) (*internalversion.ListOptions, error) {
	var internal internalversion.ListOptions
	err := internalversion.Convert_v1_ListOptions_To_internalversion_ListOptions(&options, &internal, nil)
	return &internal, err
}

// Confirm reads the store before a token is refused for its issuer: another server may
// have taken the issuer over a moment ago, and this one not heard of it yet.
func (f *Follower) Confirm(ctx context.Context) {
	if err := f.Load(ctx); err != nil && ctx.Err() == nil {
		f.log.Warn("an issuer that is not accepted could not be confirmed", "error", err)
	}
}

// apply takes an object over unless it is older than the last one. A status without
// issuers is one that nobody has filled in yet.
func (f *Follower) apply(k *operatorv1.KubeAPIServer) {
	if len(k.Status.ServiceAccountIssuers) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if order, err := resourceversion.CompareResourceVersion(k.ResourceVersion, f.revision); f.revision != "" && err == nil && order < 0 {
		return
	}
	f.revision = k.ResourceVersion
	if err := f.set.Apply(stateOf(&k.Status)); err != nil {
		f.log.Error("the issuers of tokens cannot be taken over, the former ones stay", "error", err)
	}
}

func stateOf(s *operatorv1.KubeAPIServerStatus) (state issuer.State) {
	for _, t := range s.ServiceAccountIssuers {
		switch {
		case t.ExpirationTime != nil:
			state.Trusted = append(state.Trusted, issuer.Trust{Issuer: t.Name, Until: t.ExpirationTime.Time})
		case state.Active == "":
			state.Active = t.Name
		default: // written by hand: accepted, without an end
			state.Trusted = append(state.Trusted, issuer.Trust{Issuer: t.Name})
		}
	}
	return state
}
