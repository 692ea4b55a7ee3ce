package pod

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	etcd "k8s.io/apiserver/pkg/storage/etcd3/testing"
	"k8s.io/apiserver/pkg/storage/storagebackend"

	"laterna.dev/laterna/internal/registry/resource"
)

// newScheme returns a scheme of the kinds that pods need, each its own hub.
func newScheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for gv, add := range map[schema.GroupVersion]func(*runtime.Scheme) error{
		corev1.SchemeGroupVersion: corev1.AddToScheme, policyv1.SchemeGroupVersion: policyv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
		hub := schema.GroupVersion{Group: gv.Group, Version: runtime.APIVersionInternal}
		for kind, typ := range s.KnownTypes(gv) {
			if typ.PkgPath() == "k8s.io/apimachinery/pkg/apis/meta/v1" {
				continue
			}
			obj, err := s.New(gv.WithKind(kind))
			if err != nil {
				t.Fatal(err)
			}
			s.AddKnownTypeWithName(hub.WithKind(kind), obj)
		}
	}
	for _, register := range []func(*runtime.Scheme) error{Definition().Register, RegisterParameters} {
		if err := register(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// newEnv returns an environment on an etcd of the test's own.
func newEnv(t testing.TB) resource.Env {
	t.Helper()
	_, config := etcd.NewUnsecuredEtcd3TestClientServer(t)
	s := newScheme(t)
	config.Codec = serializer.NewCodecFactory(s).LegacyCodec(corev1.SchemeGroupVersion)
	return resource.Env{Scheme: s, Getter: options{config}}
}

type options struct{ config *storagebackend.Config }

func (o options) GetRESTOptions(gr schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	return generic.RESTOptions{
		StorageConfig:           o.config.ForResource(gr),
		Decorator:               generic.UndecoratedStorage,
		DeleteCollectionWorkers: 1,
		ResourcePrefix:          gr.Resource,
	}, nil
}

func inNamespace(ctx context.Context) context.Context {
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{IsResourceRequest: true, Verb: "create", APIVersion: "v1", Namespace: "ns", Resource: "pods"})
	return request.WithNamespace(ctx, "ns")
}
