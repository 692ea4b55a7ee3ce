package registry

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/admissionregistration/admissionpolicy"
	"laterna.dev/laterna/internal/registry/admissionregistration/matching"
	"laterna.dev/laterna/internal/registry/resource"
)

// policies serves a kind of admission policies or of their bindings. about is the resource
// of the policies.
func policies[T resource.Object](about string, conditions *matching.Conditions, define func(admissionpolicy.Config) resource.Definition[T]) Served {
	return own(define(admissionpolicy.Config{}), func(b *Builder) (map[string]rest.Storage, error) {
		return define(admissionpolicy.Config{Conditions: conditions, Access: admissionpolicy.Access{
			Authorizer: b.Authorizer, Resource: b.resourceOf,
			ParamKind: func(ctx context.Context, name string) (*admissionregistrationv1.ParamKind, error) {
				return b.paramKind(ctx, admissionregistrationv1.Resource(about), name)
			},
		}}).Storages(b.Env)
	})
}

// resourceOf returns the resource of a kind, "" where it is not in the table. It is for
// requests: all storages must have been built.
func (b *Builder) resourceOf(kind schema.GroupVersionKind) string {
	for _, g := range b.groups {
		if g.Version != kind.GroupVersion() {
			continue
		}
		for path, s := range g.byPath {
			if !strings.Contains(path, "/") && reflect.TypeOf(s.New()).Elem().Name() == kind.Kind {
				return path
			}
		}
	}
	return ""
}

// paramKind returns that of a policy. It is for requests: all storages must have been built.
func (b *Builder) paramKind(ctx context.Context, policies schema.GroupResource, name string) (*admissionregistrationv1.ParamKind, error) {
	stored, err := storage[rest.Getter](b, policies)
	if err != nil {
		return nil, err
	}
	obj, err := stored.Get(request.WithNamespace(ctx, metav1.NamespaceNone), name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	switch p := obj.(type) {
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		return p.Spec.ParamKind, nil
	case *admissionregistrationv1.MutatingAdmissionPolicy:
		return p.Spec.ParamKind, nil
	}
	return nil, fmt.Errorf("policy %s is a %T", name, obj)
}
