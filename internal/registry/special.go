package registry

import (
	"context"
	"errors"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	iamv1alpha1 "laterna.dev/laterna/api/iam/v1alpha1"
	identityv1alpha1 "laterna.dev/laterna/api/identity/v1alpha1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	projectionv1alpha1 "laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/registry/apiextensions"
	"laterna.dev/laterna/internal/registry/apiregistration/apiservice"
	"laterna.dev/laterna/internal/registry/authentication"
	"laterna.dev/laterna/internal/registry/authorization"
	configauthentication "laterna.dev/laterna/internal/registry/config/authentication"
	coreevent "laterna.dev/laterna/internal/registry/core/event"
	"laterna.dev/laterna/internal/registry/core/namespace"
	corenode "laterna.dev/laterna/internal/registry/core/node"
	"laterna.dev/laterna/internal/registry/core/pod"
	"laterna.dev/laterna/internal/registry/core/pod/evict"
	"laterna.dev/laterna/internal/registry/core/proxy"
	"laterna.dev/laterna/internal/registry/core/service"
	"laterna.dev/laterna/internal/registry/core/serviceaccount/token"
	"laterna.dev/laterna/internal/registry/events/event"
	"laterna.dev/laterna/internal/registry/iam/openidconnectprovider"
	"laterna.dev/laterna/internal/registry/iam/role"
	"laterna.dev/laterna/internal/registry/identity/signingkey"
	"laterna.dev/laterna/internal/registry/policy/poddisruptionbudget"
	"laterna.dev/laterna/internal/registry/projection/podprojection"
	"laterna.dev/laterna/internal/registry/resource"
)

// The kinds of the table that are more than stored: how their storages are built.

func namespaces() Served {
	return own(namespace.Definition(), func(b *Builder) (map[string]rest.Storage, error) { return namespace.NewStorage(b.Env) })
}

func pods() Served {
	served := own(pod.Definition(), func(b *Builder) (map[string]rest.Storage, error) {
		nodes, err := b.Getter(corev1.Resource("nodes"))
		if err != nil {
			return nil, err
		}
		budgets, err := b.budgets()
		if err != nil {
			return nil, err
		}
		s, err := pod.NewStorage(b.Env, b.kubelets(nodes), budgets)
		if err != nil {
			return nil, err
		}
		through, err := b.proxy()
		if err != nil {
			return nil, err
		}
		if s.ByPath["pods/proxy"], err = proxy.Pods(through, s.Pods); err != nil {
			return nil, err
		}
		return s.ByPath, nil
	})
	register := served.Register
	served.Register = func(s *runtime.Scheme) error {
		return errors.Join(register(s), pod.RegisterParameters(s), proxy.RegisterParameters(s))
	}
	return served
}

func nodes() Served {
	return own(corenode.Definition(), func(b *Builder) (map[string]rest.Storage, error) {
		all, err := corenode.Definition().Storages(b.Env)
		if err != nil {
			return nil, err
		}
		stored, err := as[rest.Getter](corev1.Resource("nodes"), all["nodes"])
		if err != nil {
			return nil, err
		}
		through, err := b.proxy()
		if err != nil {
			return nil, err
		}
		all["nodes/proxy"], err = proxy.Nodes(through, proxy.Kubelets{
			Locate: b.kubelets(stored).Locate, TLS: b.Kubelets, UserName: node.UserName, Authorizer: b.Authorizer,
		})
		return all, err
	})
}

// kubelets is how agents are reached.
func (b *Builder) kubelets(nodes rest.Getter) pod.Kubelets {
	return pod.Kubelets{Wall: b.Wall, Node: lookUpNode(nodes), TLS: b.Kubelets, Authorizer: b.Authorizer}
}

// proxy is what the proxy subresources are made of.
func (b *Builder) proxy() (c proxy.Config, err error) {
	ranges, err := storage[*resource.Store[*networkingv1.ServiceCIDR]](b, networkingv1.Resource("servicecidrs"))
	if err != nil {
		return c, err
	}
	return proxy.Config{Guard: service.Guard(b.ClusterIPs, ranges, b.Stores), Wall: b.Wall}, nil
}

// budgets are the disruption budgets that evictions keep to.
func (b *Builder) budgets() (evict.Budgets, error) {
	store, err := storage[*resource.Store[*policyv1.PodDisruptionBudget]](b, policyv1.Resource("poddisruptionbudgets"))
	if err != nil {
		return evict.Budgets{}, err
	}
	status := store.Subresource(*poddisruptionbudget.Definition().Status)
	return evict.Budgets{
		List: func(ctx context.Context) ([]policyv1.PodDisruptionBudget, error) {
			obj, err := store.List(ctx, &metainternal.ListOptions{})
			if err != nil {
				return nil, err
			}
			list, ok := obj.(*policyv1.PodDisruptionBudgetList)
			if !ok {
				return nil, fmt.Errorf("budgets are a %T", obj)
			}
			return list.Items, nil
		},
		UpdateStatus: func(ctx context.Context, b *policyv1.PodDisruptionBudget) error {
			_, _, err := status.Update(ctx, b.Name, rest.DefaultUpdatedObjectInfo(b), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			return err
		},
	}, nil
}

// lookUpNode reads nodes from the watch cache.
func lookUpNode(nodes rest.Getter) func(context.Context, string) (*corev1.Node, error) {
	return func(ctx context.Context, name string) (*corev1.Node, error) {
		obj, err := nodes.Get(request.WithNamespace(ctx, metav1.NamespaceNone), name, &metav1.GetOptions{ResourceVersion: "0"})
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

func services() Served {
	return own(service.Definition(), func(b *Builder) (map[string]rest.Storage, error) {
		c := service.Config{ClusterIPs: b.ClusterIPs, Wall: b.Wall, Log: b.Log}
		var err error
		if c.Addresses, err = storage[*resource.Store[*networkingv1.IPAddress]](b, networkingv1.Resource("ipaddresses")); err != nil {
			return nil, err
		}
		if c.Ranges, err = storage[*resource.Store[*networkingv1.ServiceCIDR]](b, networkingv1.Resource("servicecidrs")); err != nil {
			return nil, err
		}
		if c.Endpoints, err = storage[rest.GracefulDeleter](b, corev1.Resource("endpoints")); err != nil {
			return nil, err
		}
		if c.Tell, err = b.tell(); err != nil {
			return nil, err
		}
		s, err := service.NewStorage(b.Env, c)
		if err != nil {
			return nil, err
		}
		all := s.ByPath()
		pods, err := b.Getter(corev1.Resource("pods"))
		if err != nil {
			return nil, err
		}
		at := discoveryv1.Resource("endpointslices")
		stored, err := b.Storage(at)
		if err != nil {
			return nil, err
		}
		slices, err := as[rest.Lister](at, stored)
		if err != nil {
			return nil, err
		}
		through, err := b.proxy()
		if err != nil {
			return nil, err
		}
		all["services/proxy"], err = proxy.Services(through, s, pods, slices)
		return all, err
	})
}

// tell writes down what a repair of the books on addresses and ports finds.
func (b *Builder) tell() (service.Tell, error) {
	events, err := storage[*resource.Store[*corev1.Event]](b, corev1.Resource("events"))
	if err != nil {
		return nil, err
	}
	teller := coreevent.Teller{Events: events, Wall: b.Wall}
	return func(ctx context.Context, f service.Finding) {
		if err := teller.Tell(ctx, coreevent.Fact(f)); err != nil && ctx.Err() == nil {
			b.Log.WarnContext(ctx, "an event was not written", "error", err)
		}
	}, nil
}

// customResourceDefinitions are the library's.
func customResourceDefinitions() Served {
	return Served{Resource: apiextensions.Plural, Hub: apiextensions.Hub, Storages: func(b *Builder) (map[string]rest.Storage, error) {
		return apiextensions.Storages(b.Env, b.CustomResources)
	}}
}

func apiServices() Served {
	return Served{Resource: apiservice.Plural, Storages: func(b *Builder) (map[string]rest.Storage, error) { return b.APIServices.Storages(), nil }}
}

func podProjections() Served {
	return storedWith(func(p Parts) resource.Definition[*projectionv1alpha1.PodProjection] {
		return podprojection.Definition(p.Clock)
	})
}

// authentications are checked against the issuers that are accepted already.
func authentications() Served {
	plain := configauthentication.Definition(configauthentication.Room{})
	return own(plain, func(b *Builder) (map[string]rest.Storage, error) {
		servers, err := b.Getter(operatorv1.KubeAPIServers.GroupResource())
		if err != nil {
			return nil, err
		}
		return configauthentication.Definition(configauthentication.Room{
			Server: func(ctx context.Context) (*operatorv1.KubeAPIServer, error) {
				obj, err := servers.Get(request.WithNamespace(ctx, metav1.NamespaceNone), operatorv1.Name, &metav1.GetOptions{})
				if err != nil {
					return nil, err
				}
				server, ok := obj.(*operatorv1.KubeAPIServer)
				if !ok {
					return nil, fmt.Errorf("kubeapiservers/%s is a %T", operatorv1.Name, obj)
				}
				return server, nil
			},
			First: b.FirstIssuer, Overlap: b.IssuerOverlap, Clock: b.Clock,
		}).Storages(b.Env)
	})
}

// newerEvents are the events of core/v1 by another API.
func newerEvents() Served {
	return Served{Resource: "events", Register: event.Register, Storages: func(b *Builder) (map[string]rest.Storage, error) {
		core, err := storage[*resource.Store[*corev1.Event]](b, corev1.Resource("events"))
		if err != nil {
			return nil, err
		}
		return event.NewStorage(core), nil
	}}
}

func signingKeys() Served {
	return Served{Resource: identityv1alpha1.Plural, Storages: func(b *Builder) (map[string]rest.Storage, error) {
		return signingkey.NewStorage(b.Keys, b.Clock), nil
	}}
}

func oidcProviders() Served {
	return storedWith(func(p Parts) resource.Definition[*iamv1alpha1.OpenIDConnectProvider] {
		return openidconnectprovider.Definition(p.Wall)
	})
}

// iamRoles look each other up.
func iamRoles() Served {
	return own(role.Definition(nil), func(b *Builder) (map[string]rest.Storage, error) { return role.NewStorage(b.Env) })
}

func tokenRequests() Served {
	return Served{Resource: "serviceaccounts/token", Storages: func(b *Builder) (map[string]rest.Storage, error) {
		t, err := b.tokensOf()
		if err != nil {
			return nil, err
		}
		return token.NewStorage(t.Issue)
	}}
}

func tokenReviews() Served {
	return answered("tokenreviews", func(b *Builder) (q resource.Question[*authenticationv1.TokenReview], err error) {
		t, err := b.tokensOf()
		if err != nil {
			return q, err
		}
		return authentication.TokenReview(t.Authenticate, t.Audiences), nil
	})
}

func selfSubjectReviews() Served {
	return answered("selfsubjectreviews", func(b *Builder) (resource.Question[*authenticationv1.SelfSubjectReview], error) {
		return authentication.SelfSubjectReview(b.Wall), nil
	})
}

func subjectAccessReviews() Served {
	return answered("subjectaccessreviews", func(b *Builder) (resource.Question[*authorizationv1.SubjectAccessReview], error) {
		return authorization.SubjectAccessReview(b.Authorizer), nil
	})
}

func selfSubjectAccessReviews() Served {
	return answered("selfsubjectaccessreviews", func(b *Builder) (resource.Question[*authorizationv1.SelfSubjectAccessReview], error) {
		return authorization.SelfSubjectAccessReview(b.Authorizer), nil
	})
}

func localSubjectAccessReviews() Served {
	return answered("localsubjectaccessreviews", func(b *Builder) (resource.Question[*authorizationv1.LocalSubjectAccessReview], error) {
		return authorization.LocalSubjectAccessReview(b.Authorizer), nil
	})
}

func selfSubjectRulesReviews() Served {
	return answered("selfsubjectrulesreviews", func(b *Builder) (resource.Question[*authorizationv1.SelfSubjectRulesReview], error) {
		return authorization.SelfSubjectRulesReview(b.Rules), nil
	})
}
