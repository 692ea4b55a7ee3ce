package scheme_test

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/scheme"
)

func newScheme(t *testing.T) *scheme.Scheme {
	t.Helper()
	s, err := registry.Kinds().Scheme()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEveryKindIsItsOwnHub also holds that the first version of a group is that of its
// kinds which others have, too.
func TestEveryKindIsItsOwnHub(t *testing.T) {
	s, first := newScheme(t), map[schema.GroupKind]reflect.Type{}
	for _, gv := range s.GroupVersions() {
		kinds := s.KnownTypes(gv)
		if len(kinds) == 0 {
			t.Errorf("%s has no kinds", gv)
		}
		for kind, external := range kinds {
			if external.PkgPath() == "k8s.io/apimachinery/pkg/apis/meta/v1" || gv.Group == "apiextensions.k8s.io" { // whose library has a hub
				continue
			}
			hub := s.KnownTypes(schema.GroupVersion{Group: gv.Group, Version: runtime.APIVersionInternal})[kind]
			if former, ok := first[schema.GroupKind{Group: gv.Group, Kind: kind}]; ok {
				external = former
			}
			first[schema.GroupKind{Group: gv.Group, Kind: kind}] = external
			if hub != external {
				t.Errorf("%s %s: hub is %v", gv, kind, hub)
			}
		}
	}
}

func TestPublicSchemeHasNoHub(t *testing.T) {
	s, err := newScheme(t).Public()
	if err != nil {
		t.Fatal(err)
	}
	for gvk := range s.AllKnownTypes() {
		// Every group's WatchEvent has an internal version, as in Kubernetes; no
		// document mentions it.
		if gvk.Version == runtime.APIVersionInternal && gvk.Kind != "WatchEvent" {
			t.Errorf("%s is public", gvk)
		}
	}
}

func TestEncodings(t *testing.T) {
	s := newScheme(t)
	in := &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Name: "c"}, Data: map[string]string{"a": "b"}}
	for _, info := range s.Codecs.SupportedMediaTypes() {
		codec := s.Codecs.CodecForVersions(info.Serializer, s.Codecs.UniversalDeserializer(), corev1.SchemeGroupVersion, runtime.InternalGroupVersioner)
		raw, err := runtime.Encode(codec, in)
		if err != nil {
			t.Fatal(err)
		}
		out, err := runtime.Decode(codec, raw)
		if err != nil {
			t.Fatalf("%s: %v", info.MediaType, err)
		}
		if m, ok := out.(*corev1.ConfigMap); !ok || m.Name != "c" || m.Data["a"] != "b" {
			t.Errorf("%s: %#v", info.MediaType, out)
		}
	}
}

// TestGroupsAreStoredAsTheirTypesCan pins what a store written by an earlier version has.
func TestGroupsAreStoredAsTheirTypesCan(t *testing.T) {
	s := newScheme(t)
	for _, gv := range s.GroupVersions() {
		want := runtime.ContentTypeProtobuf
		if strings.HasSuffix(gv.Group, ".laterna.dev") || strings.HasSuffix(gv.Group, ".openshift.io") {
			want = runtime.ContentTypeJSON
		}
		if got := s.StorageType(gv.Group); got != want {
			t.Errorf("%s is stored as %s, want %s", gv, got, want)
		}
	}
}

// TestDefaultsAndFields asks for one of each that the kinds' packages register.
func TestDefaultsAndFields(t *testing.T) {
	s := newScheme(t)
	secret := &corev1.Secret{}
	s.Default(secret)
	if secret.Type != corev1.SecretTypeOpaque {
		t.Errorf("type of a secret: %q", secret.Type)
	}
	pod := &corev1.Pod{}
	s.Default(pod)
	if pod.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		t.Errorf("restart policy of a pod: %q", pod.Spec.RestartPolicy)
	}
	for kind, field := range map[string]string{"Pod": "spec.nodeName", "Secret": "type", "Node": "spec.unschedulable", "Event": "reason", "Namespace": "status.phase", "Service": "spec.clusterIP"} {
		if _, _, err := s.ConvertFieldLabel(corev1.SchemeGroupVersion.WithKind(kind), field, "x"); err != nil {
			t.Errorf("%s %s: %v", kind, field, err)
		}
		if _, _, err := s.ConvertFieldLabel(corev1.SchemeGroupVersion.WithKind(kind), "nonsense", "x"); err == nil {
			t.Errorf("%s has a field nonsense", kind)
		}
	}
}

func TestSchemesAreIndependent(t *testing.T) {
	a, b := newScheme(t), newScheme(t)
	a.AddKnownTypeWithName(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Extra"}, &corev1.ConfigMap{})
	if b.Recognizes(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Extra"}) {
		t.Error("one scheme shows in another")
	}
}
