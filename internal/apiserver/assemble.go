package apiserver

import (
	"fmt"
	"maps"

	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/authorization/localsubjectaccessreview"
	"laterna.dev/laterna/internal/registry/authorization/selfsubjectaccessreview"
	"laterna.dev/laterna/internal/registry/authorization/selfsubjectrulesreview"
	"laterna.dev/laterna/internal/registry/authorization/subjectaccessreview"
	"laterna.dev/laterna/internal/registry/coordination/lease"
	"laterna.dev/laterna/internal/registry/core/configmap"
	"laterna.dev/laterna/internal/registry/core/endpoints"
	"laterna.dev/laterna/internal/registry/core/event"
	"laterna.dev/laterna/internal/registry/core/namespace"
	"laterna.dev/laterna/internal/registry/core/node"
	"laterna.dev/laterna/internal/registry/core/secret"
	"laterna.dev/laterna/internal/registry/core/service"
	"laterna.dev/laterna/internal/registry/core/serviceaccount"
	"laterna.dev/laterna/internal/registry/rbac/clusterrole"
	"laterna.dev/laterna/internal/registry/rbac/clusterrolebinding"
	"laterna.dev/laterna/internal/registry/rbac/role"
	"laterna.dev/laterna/internal/registry/rbac/rolebinding"
	"laterna.dev/laterna/internal/registry/resource"
)

// storages are those of all served kinds: by group, and those that the server
// itself works with.
type storages struct {
	groups   []apiGroup
	core     map[string]rest.Storage
	rbac     map[string]rest.Storage
	services *service.Storage
}

// newStorages builds the storages of all kinds.
func newStorages(env resource.Env, c Config, a *access) (*storages, error) {
	s := &storages{}
	if err := s.addCore(env, c); err != nil {
		return nil, err
	}
	coordination, err := merge(plain(env, lease.NewStorage))
	if err != nil {
		return nil, err
	}
	guarded := func(build func(resource.Env, registryAccess) (map[string]rest.Storage, error)) maker {
		return func() (map[string]rest.Storage, error) { return build(env, a.registry()) }
	}
	s.rbac, err = merge(guarded(role.NewStorage), guarded(rolebinding.NewStorage), guarded(clusterrole.NewStorage), guarded(clusterrolebinding.NewStorage))
	if err != nil {
		return nil, err
	}
	s.groups = []apiGroup{
		{corev1.SchemeGroupVersion, s.core},
		{authorizationv1.SchemeGroupVersion, map[string]rest.Storage{
			"subjectaccessreviews":      subjectaccessreview.NewStorage(a.all),
			"selfsubjectaccessreviews":  selfsubjectaccessreview.NewStorage(a.all),
			"localsubjectaccessreviews": localsubjectaccessreview.NewStorage(a.all),
			"selfsubjectrulesreviews":   selfsubjectrulesreview.NewStorage(a.rules),
		}},
		{coordinationv1.SchemeGroupVersion, coordination},
		{rbacv1.SchemeGroupVersion, s.rbac},
	}
	return s, nil
}

func (s *storages) addCore(env resource.Env, c Config) error {
	var err error
	if s.services, err = service.NewStorage(env, service.Config{ClusterIPs: c.Services.Range, Log: c.Log}); err != nil {
		return err
	}
	accounts, err := serviceaccount.NewStorage(env)
	if err != nil {
		return err
	}
	s.core, err = merge(
		plain(env, configmap.NewStorage), plain(env, endpoints.NewStorage), plain(env, event.NewStorage),
		plain(env, namespace.NewStorage), plain(env, node.NewStorage), plain(env, secret.NewStorage),
		made(s.services.ByPath()), made(map[string]rest.Storage{"serviceaccounts": accounts}))
	return err
}

// kept returns the objects that the server keeps, in these storages.
func (s *storages) kept(env resource.Env, c Config) (*kept, error) {
	k := &kept{scheme: env.Scheme, config: c}
	for path, into := range map[string]*keptStorage{"namespaces": &k.namespaces, "services": &k.services, "endpoints": &k.endpoints} {
		storage, ok := s.core[path].(keptStorage)
		if !ok {
			return nil, fmt.Errorf("storage of %s cannot keep objects", path)
		}
		*into = storage
	}
	return k, nil
}

// maker builds the storages of one kind by path.
type maker func() (map[string]rest.Storage, error)

func plain(env resource.Env, build func(resource.Env) (map[string]rest.Storage, error)) maker {
	return func() (map[string]rest.Storage, error) { return build(env) }
}

func made(m map[string]rest.Storage) maker {
	return func() (map[string]rest.Storage, error) { return m, nil }
}

// merge joins the storages of several kinds of one group.
func merge(kinds ...maker) (map[string]rest.Storage, error) {
	all := map[string]rest.Storage{}
	for _, build := range kinds {
		m, err := build()
		if err != nil {
			return nil, err
		}
		for path := range m {
			if _, ok := all[path]; ok {
				return nil, fmt.Errorf("two storages for %s", path)
			}
		}
		maps.Copy(all, m)
	}
	return all, nil
}
