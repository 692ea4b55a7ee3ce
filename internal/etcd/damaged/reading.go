package damaged

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"

	"laterna.dev/laterna/internal/wait"
)

// patience is how long reading the store may take before somebody looks why.
const patience = time.Second

// Reading calls read, which returns once all that the store holds is read, or ctx ends.
// Where an object cannot be read it never is: find then sets that aside, see Find, and
// read, which tries again and again, goes on. Where find says that the keys are wrong,
// Reading ends it and returns that.
func (s *Set) Reading(ctx context.Context, clk wait.Timers, read, find func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var looker sync.WaitGroup
	defer looker.Wait()
	defer cancel(nil)
	looker.Go(func() {
		if !wait.Pause(ctx, clk, patience) {
			return
		}
		var wrong *WrongKeysError
		if err := find(ctx); errors.As(err, &wrong) {
			cancel(err)
		}
	})
	err := read(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Explain returns objects with errors that say, of objects which are set aside, why they
// cannot be had and what to do. prefix stands before the keys of objects in the store.
func (s *Set) Explain(objects storage.Interface, prefix string) storage.Interface {
	return explained{objects, s, prefix}
}

type explained struct {
	storage.Interface
	set    *Set
	prefix string
}

func (e explained) explain(key string, err error) error {
	if err == nil || storage.IsNotFound(err) { // it was deleted just now
		return err
	}
	o, ok := e.set.Get(e.prefix + key)
	if !ok {
		return err
	}
	return apierrors.NewInternalError(fmt.Errorf("%s cannot be read: %s; %s", o.String(), o.Why, o.Advice()))
}

// Get implements storage.Interface.
func (e explained) Get(ctx context.Context, key string, opts storage.GetOptions, out runtime.Object) error {
	return e.explain(key, e.Interface.Get(ctx, key, opts, out))
}

// Create implements storage.Interface.
func (e explained) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	return e.explain(key, e.Interface.Create(ctx, key, obj, out, ttl))
}

// GuaranteedUpdate implements storage.Interface.
func (e explained) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool, preconditions *storage.Preconditions, update storage.UpdateFunc, cached runtime.Object) error {
	return e.explain(key, e.Interface.GuaranteedUpdate(ctx, key, out, ignoreNotFound, preconditions, update, cached))
}
