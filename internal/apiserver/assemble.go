package apiserver

import (
	"fmt"
	"maps"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/registry/rest"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/registry/coordination/lease"
	"laterna.dev/laterna/internal/registry/core/configmap"
	"laterna.dev/laterna/internal/registry/core/event"
	"laterna.dev/laterna/internal/registry/core/namespace"
	"laterna.dev/laterna/internal/registry/core/node"
	"laterna.dev/laterna/internal/registry/core/secret"
	"laterna.dev/laterna/internal/registry/core/serviceaccount"
	"laterna.dev/laterna/internal/registry/resource"
)

// assemble builds the storages of all kinds and puts authentication, authorization
// and admission into c.
func (s *Server) assemble(c *genericserver.Config, env resource.Env) ([]apiGroup, error) {
	core, err := storages(env,
		configmap.NewStorage, event.NewStorage, namespace.NewStorage, node.NewStorage, secret.NewStorage)
	if err != nil {
		return nil, err
	}
	accounts, err := serviceaccount.NewStorage(env)
	if err != nil {
		return nil, err
	}
	core["serviceaccounts"] = accounts
	coordination, err := storages(env, lease.NewStorage)
	if err != nil {
		return nil, err
	}
	c.Authentication.Authenticator = s.authenticator()
	c.Authorization.Authorizer = authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup)
	c.AdmissionControl = admission.NewChainHandler()
	return []apiGroup{
		{corev1.SchemeGroupVersion, core},
		{coordinationv1.SchemeGroupVersion, coordination},
	}, nil
}

type newStorage func(resource.Env) (map[string]rest.Storage, error)

// storages merges the storages of several kinds of one group.
func storages(env resource.Env, kinds ...newStorage) (map[string]rest.Storage, error) {
	all := map[string]rest.Storage{}
	for _, kind := range kinds {
		m, err := kind(env)
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

// authenticator tells who makes a request. When no credential is good and one is
// wrong, the request is refused; without any it is anonymous.
func (s *Server) authenticator() authenticator.Request {
	credentials := union.New(
		loopbackAuthenticator,
		newCertAuthenticator(s.config.Serving.ClientCAs, clock.RealClock{}),
	)
	return union.NewFailOnError(credentials, anonymous.NewAuthenticator(nil))
}
