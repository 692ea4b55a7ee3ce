// Package resourcetest gives the tests of a kind a real store to keep objects in.
// It is imported by tests only.
package resourcetest

import (
	"context"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	etcd3testing "k8s.io/apiserver/pkg/storage/etcd3/testing"
	"k8s.io/apiserver/pkg/storage/storagebackend"

	iamv1alpha1 "laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/registry/resource"
)

// Env starts an etcd server that ends with the test, and returns what a storage is
// built from. register adds defaults and the like to the scheme of core/v1,
// coordination.k8s.io/v1, networking.k8s.io/v1 and iam.laterna.dev/v1alpha1.
func Env(t testing.TB, register ...func(*runtime.Scheme) error) resource.Env {
	t.Helper()
	s := Scheme(t, register...)
	_, config := etcd3testing.NewUnsecuredEtcd3TestClientServer(t)
	versioner := runtime.GroupVersioner(schema.GroupVersions(versions()))
	config.Codec = serializer.NewCodecFactory(s).CodecForVersions(
		serializer.NewCodecFactory(s).LegacyCodec(versions()...),
		serializer.NewCodecFactory(s).UniversalDeserializer(), versioner, runtime.InternalGroupVersioner)
	return resource.Env{Scheme: s, Getter: getter{config}}
}

// versions are what is stored.
func versions() []schema.GroupVersion {
	return []schema.GroupVersion{corev1.SchemeGroupVersion, coordinationv1.SchemeGroupVersion, networkingv1.SchemeGroupVersion, iamv1alpha1.SchemeGroupVersion}
}

// Scheme returns a scheme of these versions in which the external types are their own internal version.
func Scheme(t testing.TB, register ...func(*runtime.Scheme) error) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range append([]func(*runtime.Scheme) error{corev1.AddToScheme, coordinationv1.AddToScheme, networkingv1.AddToScheme, iamv1alpha1.AddToScheme}, register...) {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, gv := range versions() {
		for kind, goType := range s.KnownTypes(gv) {
			if goType.PkgPath() == "k8s.io/apimachinery/pkg/apis/meta/v1" {
				continue
			}
			obj, err := s.New(gv.WithKind(kind))
			if err != nil {
				t.Fatal(err)
			}
			s.AddKnownTypeWithName(schema.GroupVersionKind{Group: gv.Group, Version: runtime.APIVersionInternal, Kind: kind}, obj)
		}
	}
	return s
}

// Context returns a context of requests to a namespace, "" for kinds without.
func Context(t testing.TB, namespace string) context.Context {
	return genericapirequest.WithNamespace(t.Context(), namespace)
}

// Allow is the validation of a request that admission lets pass.
var Allow rest.ValidateObjectFunc = rest.ValidateAllObjectFunc

type getter struct{ config *storagebackend.Config }

func (g getter) GetRESTOptions(gr schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	return generic.RESTOptions{
		StorageConfig:           g.config.ForResource(gr),
		Decorator:               generic.UndecoratedStorage,
		DeleteCollectionWorkers: 1,
		ResourcePrefix:          gr.Resource,
	}, nil
}
