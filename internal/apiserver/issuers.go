package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/rest"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens/issuer"
	"laterna.dev/laterna/internal/wait"
)

// issuers lets this server issue and accept tokens as the status of
// kubeapiservers.operator.openshift.io/cluster says, whoever wrote it.
type issuers struct {
	set     *issuer.Set
	storage issuerStorage
	clock   clock.Wall
	log     *slog.Logger

	mu       sync.Mutex
	revision string // resource version of what is applied
}

type issuerStorage interface {
	rest.Getter
	rest.Watcher
}

// kubeAPIServers is whose status says the issuers.
var kubeAPIServers = operatorv1.KubeAPIServers.GroupResource()

func newIssuers(set *issuer.Set, operator rest.Storage, clk clock.Wall, log *slog.Logger) (*issuers, error) {
	storage, ok := operator.(issuerStorage)
	if !ok {
		return nil, errors.New("storage of kubeapiservers cannot be followed")
	}
	return &issuers{set: set, storage: storage, clock: clk, log: log}, nil
}

// load applies what the store says now. It is called before the first request is
// served, so that no token carries an issuer of the past.
func (i *issuers) load(ctx context.Context) error {
	obj, err := i.storage.Get(ctx, operatorv1.Name, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the issuers of tokens: %w", err)
	}
	i.apply(obj)
	return nil
}

// followPause is the pause before a watch that has ended is begun again.
const followPause = time.Second

// follow applies every change until ctx ends.
func (i *issuers) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if err := i.watch(ctx); err != nil && ctx.Err() == nil {
			i.log.Warn("following the issuers of tokens failed, trying again", "error", err)
		}
		wait.Pause(ctx, i.clock, followPause)
	}
}

// watch begins with what there is and ends when the watch does.
func (i *issuers) watch(ctx context.Context) error {
	w, err := i.storage.Watch(ctx, &internalversion.ListOptions{})
	if err != nil {
		return err
	}
	defer w.Stop()
	for {
		select {
		case event, ok := <-w.ResultChan():
			switch {
			case !ok:
				return nil
			case event.Type == watch.Error:
				return apierrors.FromObject(event.Object)
			case event.Type == watch.Added, event.Type == watch.Modified:
				i.apply(event.Object)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// confirm reads the store before a token is refused for its issuer: another server may
// have taken the issuer over a moment ago, and this one not heard of it yet.
func (i *issuers) confirm(ctx context.Context) {
	if err := i.load(ctx); err != nil && ctx.Err() == nil {
		i.log.Warn("an issuer that is not accepted could not be confirmed", "error", err)
	}
}

// apply takes an object over unless it is older than the last one. A status without
// issuers is one that nobody has filled in yet.
func (i *issuers) apply(obj runtime.Object) {
	if shared, ok := obj.(runtime.CacheableObject); ok { // as the watch cache sends them
		obj = shared.GetObject()
	}
	k, ok := obj.(*operatorv1.KubeAPIServer)
	if !ok || k.Name != operatorv1.Name || len(k.Status.ServiceAccountIssuers) == 0 {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if order, err := resourceversion.CompareResourceVersion(k.ResourceVersion, i.revision); i.revision != "" && err == nil && order < 0 {
		return
	}
	i.revision = k.ResourceVersion
	if err := i.set.Apply(stateOf(&k.Status)); err != nil {
		i.log.Error("the issuers of tokens cannot be taken over, the former ones stay", "error", err)
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
