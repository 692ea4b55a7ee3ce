package bootstrap

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/util/retry"

	"laterna.dev/laterna/internal/registry/resource"
)

// writers is how many objects are written at the same time.
const writers = 16

// Options are the choices that the default bindings depend on.
type Options struct {
	// PublicDiscovery opens OpenID discovery documents and JWKS to callers
	// without credentials.
	PublicDiscovery bool
	// ControllersReady is called as soon as the roles of the process's own controllers
	// are stored, which are written before all others. Optional.
	ControllersReady func()
	// Grants are for the kinds that the roles of Kubernetes do not know.
	Grants []Grant
}

// Reconcile writes the default roles and bindings that are missing from storage,
// which holds the four kinds by path, and repairs those that lack something. An
// object annotated rbac.authorization.kubernetes.io/autoupdate=false is left alone.
// It calls the storage directly, without a user, and may run while clients write.
func Reconcile(ctx context.Context, storage map[string]rest.Storage, o Options) error {
	steps := make([]step, 4)
	g, listing := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		steps[0], err = plan(listing, storage["clusterroles"], clusterRoles(o.Grants), mergeClusterRole)
		return err
	})
	g.Go(func() (err error) {
		steps[1], err = plan(listing, storage["clusterrolebindings"], clusterBindings(o), mergeClusterBinding)
		return err
	})
	g.Go(func() (err error) {
		steps[2], err = plan(listing, storage["roles"], systemRoles(), mergeRole)
		return err
	})
	g.Go(func() (err error) {
		steps[3], err = plan(listing, storage["rolebindings"], systemBindings(), mergeRoleBinding)
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if err := take(ctx, steps, ours); err != nil {
		return err
	}
	if o.ControllersReady != nil {
		o.ControllersReady()
	}
	if err := take(ctx, steps, func(name string) bool { return !ours(name) }); err != nil {
		return err
	}
	if !o.PublicDiscovery {
		return closeDiscovery(ctx, storage["clusterrolebindings"])
	}
	return nil
}

// take takes the steps for the objects of some names at the same time.
func take(ctx context.Context, steps []step, names func(name string) bool) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	for _, each := range steps {
		each(ctx, g, names)
	}
	return g.Wait()
}

// step starts the writes that a kind needs, for the objects of some names.
type step func(ctx context.Context, g *errgroup.Group, names func(name string) bool)

// merge brings have up to want; see the functions in merge.go.
type merge[T resource.Object] func(have, want T) (changed, recreate bool)

// kind reconciles the objects of one kind.
type kind[T resource.Object] struct {
	rest.StandardStorage
	merge merge[T]
}

// plan lists what is stored of a kind and returns the step that writes each object
// that differs.
func plan[T resource.Object](ctx context.Context, storage rest.Storage, wanted []T, m merge[T]) (step, error) {
	st, ok := storage.(rest.StandardStorage)
	if !ok {
		return nil, fmt.Errorf("storage of %T is a %T", wanted, storage)
	}
	k := kind[T]{st, m}
	stored, err := k.stored(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, g *errgroup.Group, names func(string) bool) {
		for _, want := range wanted {
			have, exists := stored[want.GetNamespace()+"/"+want.GetName()]
			if !names(want.GetName()) || exists && !k.differs(have, want) {
				continue
			}
			g.Go(func() error {
				if err := k.ensure(ctx, want, exists); err != nil {
					return fmt.Errorf("writing default %T %q: %w", want, want.GetName(), err)
				}
				return nil
			})
		}
	}, nil
}

func (k kind[T]) stored(ctx context.Context) (map[string]T, error) {
	list, err := k.List(request.WithNamespace(ctx, metav1.NamespaceAll), &internalversion.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing stored roles and bindings: %w", err)
	}
	out := map[string]T{}
	err = meta.EachListItem(list, func(obj runtime.Object) error {
		o := obj.(T)
		out[o.GetNamespace()+"/"+o.GetName()] = o
		return nil
	})
	return out, err
}

func (k kind[T]) differs(have, want T) bool {
	if protected(have) {
		return false
	}
	changed, recreate := k.merge(have.DeepCopyObject().(T), want)
	return changed || recreate
}

// ensure creates want, or merges it into what is stored, until one of both holds.
func (k kind[T]) ensure(ctx context.Context, want T, exists bool) error {
	ctx = request.WithNamespace(ctx, want.GetNamespace())
	again := func(err error) bool {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
	}
	return retry.OnError(retry.DefaultRetry, again, func() error {
		if !exists {
			_, err := k.Create(ctx, want.DeepCopyObject(), rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
			exists = apierrors.IsAlreadyExists(err)
			return err
		}
		obj, err := k.Get(ctx, want.GetName(), &metav1.GetOptions{})
		if err != nil {
			exists = !apierrors.IsNotFound(err)
			return err
		}
		return k.repair(ctx, obj.DeepCopyObject().(T), want, &exists)
	})
}

// repair merges want into have. A binding of the wrong role is deleted, to be
// created at the next attempt, since its role cannot change.
func (k kind[T]) repair(ctx context.Context, have, want T, exists *bool) error {
	if protected(have) {
		return nil
	}
	changed, recreate := k.merge(have, want)
	if recreate {
		uid := have.GetUID()
		_, _, err := k.Delete(ctx, want.GetName(), rest.ValidateAllObjectFunc, &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		*exists = false
		_, err = k.Create(ctx, want.DeepCopyObject(), rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
		return err
	}
	if !changed {
		return nil
	}
	_, _, err := k.Update(ctx, want.GetName(), rest.DefaultUpdatedObjectInfo(have), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	return err
}

// closeDiscovery removes the binding that an earlier start with public discovery
// has left.
func closeDiscovery(ctx context.Context, storage rest.Storage) error {
	st, ok := storage.(rest.StandardStorage)
	if !ok {
		return fmt.Errorf("storage of cluster role bindings is a %T", storage)
	}
	obj, err := st.Get(ctx, publicDiscovery, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && protected(obj.(*rbacv1.ClusterRoleBinding)) {
		return nil
	}
	if err == nil {
		_, _, err = st.Delete(ctx, publicDiscovery, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("closing public discovery: %w", err)
	}
	return nil
}
