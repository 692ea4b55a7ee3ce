package apiserver

import (
	"context"
	"fmt"
	"maps"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/clock"

	configv1 "laterna.dev/laterna/api/config/v1"
	identityv1alpha1 "laterna.dev/laterna/api/identity/v1alpha1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/api/projection/v1alpha1"
	reviews "laterna.dev/laterna/internal/registry/authentication"
	"laterna.dev/laterna/internal/registry/authorization"
	"laterna.dev/laterna/internal/registry/config/authentication"
	"laterna.dev/laterna/internal/registry/coordination/lease"
	"laterna.dev/laterna/internal/registry/core/configmap"
	"laterna.dev/laterna/internal/registry/core/endpoints"
	"laterna.dev/laterna/internal/registry/core/event"
	"laterna.dev/laterna/internal/registry/core/namespace"
	"laterna.dev/laterna/internal/registry/core/node"
	"laterna.dev/laterna/internal/registry/core/pod"
	"laterna.dev/laterna/internal/registry/core/secret"
	"laterna.dev/laterna/internal/registry/core/service"
	"laterna.dev/laterna/internal/registry/core/serviceaccount"
	"laterna.dev/laterna/internal/registry/core/serviceaccount/token"
	"laterna.dev/laterna/internal/registry/identity/signingkey"
	"laterna.dev/laterna/internal/registry/operator/kubeapiserver"
	"laterna.dev/laterna/internal/registry/projection/podprojection"
	"laterna.dev/laterna/internal/registry/rbac"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/tokens/keys"
	"laterna.dev/laterna/internal/tokens/review"
)

// storages are those of all served kinds: by group, and those that the server
// itself works with.
type storages struct {
	groups   []apiGroup
	core     map[string]rest.Storage
	rbac     map[string]rest.Storage
	config   map[string]rest.Storage
	operator map[string]rest.Storage
	services *service.Storage
	pods     *pod.Storage
	tokens   *tokens
}

// newStorages builds the storages of all kinds.
func newStorages(env resource.Env, c Config, a *access, ring *keys.Ring, b *backend) (*storages, error) {
	s := &storages{}
	if err := s.addCore(env, c, a); err != nil {
		return nil, err
	}
	var err error
	if s.config, err = authentication.Definition().Storages(env); err != nil {
		return nil, err
	}
	if s.operator, err = kubeapiserver.Definition().Storages(env); err != nil {
		return nil, err
	}
	if err := s.addTokens(c, a, ring, b); err != nil {
		return nil, err
	}
	coordination, err := merge(plain(env, lease.Definition().Storages))
	if err != nil {
		return nil, err
	}
	projections, err := podprojection.Definition(c.Clock).Storages(env)
	if err != nil {
		return nil, err
	}
	guarded := func(build func(resource.Env, registryAccess) (map[string]rest.Storage, error)) maker {
		return func() (map[string]rest.Storage, error) { return build(env, a.registry()) }
	}
	s.rbac, err = merge(guarded(rbac.Role().Storages), guarded(rbac.RoleBinding().Storages), guarded(rbac.ClusterRole().Storages), guarded(rbac.ClusterRoleBinding().Storages))
	if err != nil {
		return nil, err
	}
	s.groups = []apiGroup{
		{corev1.SchemeGroupVersion, s.core},
		{authenticationv1.SchemeGroupVersion, s.authentication()},
		{authorizationv1.SchemeGroupVersion, s.authorization(a)},
		{coordinationv1.SchemeGroupVersion, coordination},
		{rbacv1.SchemeGroupVersion, s.rbac},
		{v1alpha1.SchemeGroupVersion, projections},
		{configv1.SchemeGroupVersion, s.config},
		{operatorv1.SchemeGroupVersion, s.operator},
		{identityv1alpha1.SchemeGroupVersion, signingkey.NewStorage(ring, c.Clock)},
	}
	return s, nil
}

func (s *storages) addCore(env resource.Env, c Config, a *access) error {
	nodes, err := node.Definition().Storages(env)
	if err != nil {
		return err
	}
	s.pods, err = pod.NewStorage(env, pod.Kubelets{
		Node:       lookUpNode(nodes["nodes"]),
		TLS:        c.Kubelets.TLS,
		Authorizer: a.all,
	})
	if err != nil {
		return err
	}
	if s.services, err = service.NewStorage(env, service.Config{ClusterIPs: c.Services.Range, Log: c.Log}); err != nil {
		return err
	}
	accounts, err := serviceaccount.Definition().Storages(env)
	if err != nil {
		return err
	}
	s.core, err = merge(
		plain(env, configmap.Definition().Storages), plain(env, endpoints.Definition().Storages), plain(env, event.Definition().Storages),
		plain(env, namespace.NewStorage), plain(env, secret.Definition().Storages),
		made(nodes), made(s.pods.ByPath), made(s.services.ByPath()),
		made(accounts))
	return err
}

// lookUpNode reads nodes from the watch cache.
func lookUpNode(nodes rest.Storage) func(context.Context, string) (*corev1.Node, error) {
	return func(ctx context.Context, name string) (*corev1.Node, error) {
		getter, ok := nodes.(rest.Getter)
		if !ok {
			return nil, fmt.Errorf("storage of nodes is a %T", nodes)
		}
		obj, err := getter.Get(request.WithNamespace(ctx, metav1.NamespaceNone), name, &metav1.GetOptions{ResourceVersion: "0"})
		if err != nil {
			return nil, err
		}
		n, ok := obj.(*corev1.Node)
		if !ok {
			return nil, fmt.Errorf("node %s is a %T", name, obj)
		}
		return n, nil
	}
}

// addTokens builds what issues and checks tokens, with the subresource that issues.
func (s *storages) addTokens(c Config, a *access, ring *keys.Ring, b *backend) error {
	var objects review.Getters
	for path, into := range map[string]*rest.Getter{
		"serviceaccounts": &objects.ServiceAccounts, "pods": &objects.Pods, "secrets": &objects.Secrets, "nodes": &objects.Nodes,
	} {
		getter, ok := s.core[path].(rest.Getter)
		if !ok {
			return fmt.Errorf("storage of %s cannot get objects", path)
		}
		*into = getter
	}
	var err error
	if s.tokens, err = newTokens(c, ring, objects, s.operator, b, newTokenUses(a.client, clock.RealClock{}, c.Log)); err != nil {
		return err
	}
	issue, err := token.NewStorage(token.Config{
		ServiceAccounts:  objects.ServiceAccounts,
		Pods:             objects.Pods,
		Secrets:          objects.Secrets,
		Nodes:            objects.Nodes,
		Issuer:           s.tokens.issuers,
		Clock:            c.Clock,
		MaxExpiration:    c.Tokens.MaxExpiration,
		ExtendExpiration: c.Tokens.ExtendExpiration,
		Issued:           noteIssued(s.tokens.rotations),
	})
	maps.Copy(s.core, issue)
	return err
}

func (s *storages) authentication() map[string]rest.Storage {
	all := reviews.TokenReview(bearer(s.tokens.check), s.tokens.issuers.APIAudiences).Storages()
	maps.Copy(all, reviews.SelfSubjectReview(clock.RealClock{}).Storages())
	return all
}

func (s *storages) authorization(a *access) map[string]rest.Storage {
	all := authorization.SubjectAccessReview(a.all).Storages()
	maps.Copy(all, authorization.SelfSubjectAccessReview(a.all).Storages())
	maps.Copy(all, authorization.LocalSubjectAccessReview(a.all).Storages())
	maps.Copy(all, authorization.SelfSubjectRulesReview(a.rules).Storages())
	return all
}

// kept returns the objects that the server keeps, in these storages.
func (s *storages) kept(env resource.Env, c Config) (*kept, error) {
	k := &kept{scheme: env.Scheme, repair: s.services.Repair, config: c}
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
