package serviceaccount

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

func TestStorageKeepsOnlyNamesOfSecrets(t *testing.T) {
	store, err := resource.New(Definition(), resourcetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	sa := &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "sa"},
		Secrets:    []corev1.ObjectReference{{Namespace: "other", Name: "s", Kind: "Secret"}},
	}
	obj, err := store.Create(resourcetest.Context(t, "ns"), sa, resourcetest.Allow, &metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := obj.(*corev1.ServiceAccount)
	if !slices.Equal(got.Secrets, []corev1.ObjectReference{{Name: "s"}}) {
		t.Errorf("secrets %+v", got.Secrets)
	}
	deleted, gone, err := store.Delete(resourcetest.Context(t, "ns"), "sa", resourcetest.Allow, nil)
	if account, ok := deleted.(*corev1.ServiceAccount); err != nil || !gone || !ok || account.UID != got.UID {
		t.Errorf("delete answered %v, %v, %v", deleted, gone, err)
	}
}

func TestWarnings(t *testing.T) {
	marked := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{enforceMountable: "true"}}}
	if got := warnings(marked, nil); len(got) != 1 || !strings.HasPrefix(got[0], "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+") {
		t.Errorf("warnings %q", got)
	}
	if got := warnings(marked, marked.Annotations); len(got) != 0 {
		t.Errorf("warnings about an old annotation %q", got)
	}
	if got := warnings(&corev1.ServiceAccount{}, marked.Annotations); len(got) != 0 {
		t.Errorf("warnings about its removal %q", got)
	}
}
