package rbac

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

// view is the indexed state of the four kinds. The namespace of cluster roles and
// cluster bindings is "". All methods may be called concurrently.
type view struct {
	mu       sync.RWMutex
	roles    map[types.NamespacedName]entry[[]rbacv1.PolicyRule]
	bindings map[types.NamespacedName]entry[*binding]
	scopes   map[string]*scope
}

// entry is an object as last heard of at a resource version. A gone entry is the
// memory of a deletion that the watch has yet to confirm: it keeps older news out.
type entry[T any] struct {
	version uint64
	gone    bool
	value   T
}

// binding is a RoleBinding, or a ClusterRoleBinding where namespace is "".
type binding struct {
	namespace, name string
	ref             rbacv1.RoleRef
	subjects        []rbacv1.Subject
}

// grant is a binding as one of its subjects gets it.
type grant struct {
	*binding
	reason string
}

// scope holds the grants of one namespace, or of the cluster, by subject, each
// list sorted by the name of the binding. Service accounts are users here.
type scope struct{ users, groups map[string][]grant }

// before reports whether news of version count against what the entry knows. What
// is gone can come back only at a later version than that at which it went.
func (e entry[T]) before(version uint64) bool {
	return e.version < version || e.version == version && !e.gone
}

func newView() *view {
	return &view{
		roles:    map[types.NamespacedName]entry[[]rbacv1.PolicyRule]{},
		bindings: map[types.NamespacedName]entry[*binding]{},
		scopes:   map[string]*scope{},
	}
}

// setRole records rules of a role as of version, unless something newer is known.
func (v *view) setRole(key types.NamespacedName, version uint64, rules []rbacv1.PolicyRule) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.roles[key].before(version) {
		v.roles[key] = entry[[]rbacv1.PolicyRule]{version: version, value: rules}
	}
}

// setBinding records a binding as of version, unless something newer is known.
func (v *view) setBinding(version uint64, b *binding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := types.NamespacedName{Namespace: b.namespace, Name: b.name}
	old := v.bindings[key]
	if !old.before(version) {
		return
	}
	v.unindex(old.value)
	v.bindings[key] = entry[*binding]{version: version, value: b}
	v.index(b)
}

// dropRole removes a role that was deleted at version. A confirmed deletion is
// forgotten; one that the watch has yet to report is remembered.
func (v *view) dropRole(key types.NamespacedName, version uint64, confirmed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.roles[key].version > version {
		return
	}
	if confirmed {
		delete(v.roles, key)
		return
	}
	v.roles[key] = entry[[]rbacv1.PolicyRule]{version: version, gone: true}
}

// dropBinding is dropRole for bindings.
func (v *view) dropBinding(key types.NamespacedName, version uint64, confirmed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.bindings[key]
	if old.version > version {
		return
	}
	v.unindex(old.value)
	if confirmed {
		delete(v.bindings, key)
		return
	}
	v.bindings[key] = entry[*binding]{version: version, gone: true}
}

// stale returns the keys of entries no newer than version for which listed is
// false: what a listing at version no longer contains. Namespaced says which of
// the two kinds that share the map was listed.
func stale[T any](v *view, entries map[types.NamespacedName]entry[T], version uint64, namespaced bool, listed map[types.NamespacedName]bool) []types.NamespacedName {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var out []types.NamespacedName
	for key, e := range entries {
		if (key.Namespace != "") == namespaced && e.version <= version && !listed[key] {
			out = append(out, key)
		}
	}
	return out
}

func (v *view) index(b *binding) {
	for _, s := range b.subjects {
		m, name := v.slot(b.namespace, s)
		if m == nil {
			continue
		}
		at, _ := slices.BinarySearchFunc(m[name], b.name, func(g grant, n string) int { return strings.Compare(g.name, n) })
		m[name] = slices.Insert(m[name], at, grant{b, "RBAC: allowed by " + describe(b, s)})
	}
}

func (v *view) unindex(b *binding) {
	if b == nil {
		return
	}
	for _, s := range b.subjects {
		m, name := v.slot(b.namespace, s)
		if m == nil {
			continue
		}
		m[name] = slices.DeleteFunc(m[name], func(g grant) bool { return g.binding == b })
		if len(m[name]) == 0 {
			delete(m, name)
		}
	}
	if sc := v.scopes[b.namespace]; sc != nil && len(sc.users) == 0 && len(sc.groups) == 0 {
		delete(v.scopes, b.namespace)
	}
}

// slot returns the map and key under which the grants of a subject are kept, nil
// for a subject that no request can have.
func (v *view) slot(namespace string, s rbacv1.Subject) (map[string][]grant, string) {
	sc := v.scopes[namespace]
	if sc == nil {
		sc = &scope{users: map[string][]grant{}, groups: map[string][]grant{}}
		v.scopes[namespace] = sc
	}
	switch s.Kind {
	case rbacv1.UserKind:
		return sc.users, s.Name
	case rbacv1.GroupKind:
		return sc.groups, s.Name
	case rbacv1.ServiceAccountKind:
		if ns := subjectNamespace(namespace, s); ns != "" {
			return sc.users, serviceaccount.MakeUsername(ns, s.Name)
		}
	}
	return nil, ""
}

// subjectNamespace is the namespace of a service account subject: the binding's
// own where it names none.
func subjectNamespace(namespace string, s rbacv1.Subject) string {
	if s.Namespace != "" {
		return s.Namespace
	}
	return namespace
}

// visit calls fn with each rule that u has in namespace, cluster-wide grants
// first, and with each role that a grant names but that is not there. It stops
// when fn returns false. fn runs under the view's lock. A binding that reaches u
// through several subjects is visited for each.
func (v *view) visit(u user.Info, namespace string, fn func(g grant, rule *rbacv1.PolicyRule, err error) bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.visitScope(v.scopes[""], u, fn) && namespace != "" {
		v.visitScope(v.scopes[namespace], u, fn)
	}
}

func (v *view) visitScope(sc *scope, u user.Info, fn func(g grant, rule *rbacv1.PolicyRule, err error) bool) bool {
	if sc == nil {
		return true
	}
	if !v.visitGrants(sc.users[u.GetName()], fn) {
		return false
	}
	for _, group := range u.GetGroups() {
		if !v.visitGrants(sc.groups[group], fn) {
			return false
		}
	}
	return true
}

func (v *view) visitGrants(grants []grant, fn func(g grant, rule *rbacv1.PolicyRule, err error) bool) bool {
	for _, g := range grants {
		rules, ok := v.rules(g.ref, g.namespace)
		if !ok {
			if !fn(g, nil, missing(g.ref, "")) {
				return false
			}
			continue
		}
		for i := range rules {
			if !fn(g, &rules[i], nil) {
				return false
			}
		}
	}
	return true
}

// rules resolves a role reference for holders of mu.
func (v *view) rules(ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, bool) {
	key := types.NamespacedName{Name: ref.Name}
	switch ref.Kind {
	case "ClusterRole":
	case "Role":
		key.Namespace = namespace
		if namespace == "" {
			return nil, false
		}
	default:
		return nil, false
	}
	e, ok := v.roles[key]
	return e.value, ok && !e.gone
}

// missing is the error for a role that is not there. Upstream's authorizer names
// the resource in the singular, its storage in the plural (suffix "s").
func missing(ref rbacv1.RoleRef, suffix string) error {
	switch ref.Kind {
	case "ClusterRole", "Role":
		return apierrors.NewNotFound(rbacv1.Resource(strings.ToLower(ref.Kind)+suffix), ref.Name)
	}
	return fmt.Errorf("unsupported role reference kind: %q", ref.Kind)
}

// describe words a grant as upstream does in its reasons.
func describe(b *binding, s rbacv1.Subject) string {
	kind, name := "ClusterRoleBinding", b.name
	if b.namespace != "" {
		kind, name = "RoleBinding", b.name+"/"+b.namespace
	}
	subject := s.Name
	if s.Kind == rbacv1.ServiceAccountKind {
		subject += "/" + subjectNamespace(b.namespace, s)
	}
	return fmt.Sprintf("%s %q of %s %q to %s %q", kind, name, b.ref.Kind, b.ref.Name, s.Kind, subject)
}
