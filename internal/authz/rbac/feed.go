package rbac

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// kinds is the number of watched kinds.
const kinds = 4

// feed keeps the view right for one kind. It is the store of a reflector, which
// calls it from one goroutine.
type feed struct {
	view              *view
	namespaced, roles bool
	listed            func()
}

var _ cache.ReflectorStore = &feed{}

// Run watches the four kinds until ctx is done. The client must be allowed to list
// them without this authorizer. It is to be called once.
func (a *Authorizer) Run(ctx context.Context, client kubernetes.Interface) {
	rbac := client.RbacV1()
	var wg sync.WaitGroup
	for _, k := range [kinds]struct {
		object            runtime.Object
		lw                *cache.ListWatch
		namespaced, roles bool
	}{
		{&rbacv1.ClusterRole{}, listWatch(rbac.ClusterRoles()), false, true},
		{&rbacv1.ClusterRoleBinding{}, listWatch(rbac.ClusterRoleBindings()), false, false},
		{&rbacv1.Role{}, listWatch(rbac.Roles(metav1.NamespaceAll)), true, true},
		{&rbacv1.RoleBinding{}, listWatch(rbac.RoleBindings(metav1.NamespaceAll)), true, false},
	} {
		store := &feed{view: a.view, namespaced: k.namespaced, roles: k.roles, listed: sync.OnceFunc(a.listed)}
		r := cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(k.lw, client), k.object, store,
			cache.ReflectorOptions{Name: "authz/rbac", Backoff: &wait.Backoff{Duration: 5 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 12, Cap: 10 * time.Second}})
		wg.Go(func() { r.RunWithContext(ctx) })
	}
	wg.Wait()
}

// listWatch adapts the typed client of a kind whose list type is L.
func listWatch[L runtime.Object](client interface {
	List(context.Context, metav1.ListOptions) (L, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, o)
		},
	}
}

// Add implements cache.ReflectorStore.
func (f *feed) Add(obj any) error { return f.Update(obj) }

// Update implements cache.ReflectorStore.
func (f *feed) Update(obj any) error { return set(f.view, obj.(runtime.Object)) }

// Delete implements cache.ReflectorStore.
func (f *feed) Delete(obj any) error { return drop(f.view, obj.(runtime.Object), true) }

// Resync implements cache.ReflectorStore.
func (f *feed) Resync() error { return nil }

// Replace implements cache.ReflectorStore with a listing made at version.
func (f *feed) Replace(list []any, version string) error {
	at, err := parseVersion(version)
	if err != nil {
		return err
	}
	listed := make(map[types.NamespacedName]bool, len(list))
	for _, obj := range list {
		m, err := meta.Accessor(obj)
		if err != nil {
			return err
		}
		listed[keyOf(m)] = true
		if err := f.Update(obj); err != nil {
			return err
		}
	}
	if f.roles {
		for _, key := range stale(f.view, f.view.roles, at, f.namespaced, listed) {
			f.view.dropRole(key, at, true)
		}
	} else {
		for _, key := range stale(f.view, f.view.bindings, at, f.namespaced, listed) {
			f.view.dropBinding(key, at, true)
		}
	}
	f.listed()
	return nil
}

// set records an object of the four kinds in the view.
func set(v *view, obj runtime.Object) error {
	m, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	version, err := parseVersion(m.GetResourceVersion())
	if err != nil {
		return err
	}
	switch o := obj.(type) {
	case *rbacv1.ClusterRole:
		v.setRole(keyOf(o), version, o.Rules)
	case *rbacv1.Role:
		v.setRole(keyOf(o), version, o.Rules)
	case *rbacv1.ClusterRoleBinding:
		v.setBinding(version, &binding{name: o.Name, ref: o.RoleRef, subjects: o.Subjects})
	case *rbacv1.RoleBinding:
		v.setBinding(version, &binding{namespace: o.Namespace, name: o.Name, ref: o.RoleRef, subjects: o.Subjects})
	default:
		return fmt.Errorf("object is a %T, not a role or a binding", obj)
	}
	return nil
}

// drop removes an object that was deleted at its resource version.
func drop(v *view, obj runtime.Object, confirmed bool) error {
	m, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	version, err := parseVersion(m.GetResourceVersion())
	if err != nil {
		return err
	}
	switch obj.(type) {
	case *rbacv1.ClusterRole, *rbacv1.Role:
		v.dropRole(keyOf(m), version, confirmed)
	case *rbacv1.ClusterRoleBinding, *rbacv1.RoleBinding:
		v.dropBinding(keyOf(m), version, confirmed)
	default:
		return fmt.Errorf("object is a %T, not a role or a binding", obj)
	}
	return nil
}

func keyOf(m metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: m.GetNamespace(), Name: m.GetName()}
}

// parseVersion reads a resource version; an empty one, as fakes have, is 0.
func parseVersion(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parsing resource version %q: %w", s, err)
	}
	return v, nil
}
