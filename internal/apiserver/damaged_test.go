package apiserver_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/etcd/damaged"
)

// flip changes one byte of the value at a key of the store.
func (s *system) flip(key string, at int) {
	s.t.Helper()
	raw := s.raw()
	got, err := raw.Get(s.t.Context(), key)
	must(s.t, err)
	if len(got.Kvs) != 1 {
		s.t.Fatalf("nothing at %s", key)
	}
	value := got.Kvs[0].Value
	if at < 0 {
		at += len(value)
	}
	value[at] ^= 0x10
	_, err = raw.Put(s.t.Context(), key, string(value))
	must(s.t, err)
}

func secretNames(t *testing.T, admin kubernetes.Interface, options metav1.ListOptions) (names []string) {
	t.Helper()
	for {
		list, err := admin.CoreV1().Secrets("default").List(t.Context(), options)
		must(t, err)
		for _, o := range list.Items {
			names = append(names, o.Name)
		}
		if list.Continue == "" {
			return names
		}
		options = metav1.ListOptions{Limit: options.Limit, Continue: list.Continue}
	}
}

func setAside(t *testing.T, admin kubernetes.Interface) (keys []string) {
	t.Helper()
	objects, err := damaged.Ask(t.Context(), admin.CoreV1().RESTClient())
	must(t, err)
	for _, o := range objects {
		keys = append(keys, o.Key)
	}
	return keys
}

// TestDamagedObjectsDoNotStopTheSystem damages a few objects of a store. The system
// starts without them, says which they are, and they can be deleted and made again.
func TestDamagedObjectsDoNotStopTheSystem(t *testing.T) {
	dir := t.TempDir()
	life(t, dir, "whole", "", func(s *system) {
		s.fill(6)
		_, err := s.admin().CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c"}}, metav1.CreateOptions{})
		must(t, err)
		s.flip("/registry/secrets/default/s0", -1)
		s.flip("/registry/secrets/default/s1", 40)
		s.flip("/registry/secrets/default/s5", -9)
		s.flip("/registry/configmaps/default/c", 0)
	})
	life(t, dir, "damaged", "", func(s *system) {
		admin := s.admin()
		want := []string{"/registry/configmaps/default/c", "/registry/secrets/default/s0", "/registry/secrets/default/s1", "/registry/secrets/default/s5"}
		if got := setAside(t, admin); !slices.Equal(got, want) {
			t.Errorf("set aside are %q", got)
		}
		for name, o := range map[string]metav1.ListOptions{"new": {}, "cached": {ResourceVersion: "0"}, "pages": {Limit: 1}, "old": {Limit: 2, ResourceVersionMatch: metav1.ResourceVersionMatchExact, ResourceVersion: revisionOf(t, admin)}} {
			if got := secretNames(t, admin, o); !slices.Equal(got, []string{"s2", "s3", "s4"}) {
				t.Errorf("%s list: %q", name, got)
			}
		}
		const path = "/api/v1/namespaces/default/secrets/s0?ignoreStoreReadErrorWithClusterBreakingPotential=true"
		says := "secrets/s0 in namespace default cannot be read: its value in the store is damaged: the keys that open others of its kind do not open it; delete it with `kubectl delete --raw '" + path + "'` and create it again"
		secrets := admin.CoreV1().Secrets("default")
		_, get := secrets.Get(t.Context(), "s0", metav1.GetOptions{})
		_, create := secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s0"}}, metav1.CreateOptions{})
		_, update := secrets.Update(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s0"}}, metav1.UpdateOptions{})
		for what, err := range map[string]error{"get": get, "create": create, "update": update, "delete": secrets.Delete(t.Context(), "s0", metav1.DeleteOptions{})} {
			if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", what, err)
			}
		}
		seen, err := secrets.Watch(t.Context(), metav1.ListOptions{ResourceVersion: "0", FieldSelector: "metadata.name=s0"})
		must(t, err)
		defer seen.Stop()
		must(t, admin.CoreV1().RESTClient().Delete().RequestURI(path).Do(t.Context()).Error())
		if _, err := secrets.Get(t.Context(), "s0", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("get after the deletion: %v", err)
		}
		_, err = secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s0"}}, metav1.CreateOptions{})
		must(t, err)
		if e := <-seen.ResultChan(); e.Type != "ADDED" {
			t.Errorf("the watch was told %v of %v", e.Type, e.Object)
		}
		if got := setAside(t, admin); !slices.Equal(got, slices.DeleteFunc(want, func(k string) bool { return strings.HasSuffix(k, "/s0") })) {
			t.Errorf("set aside are %q", got)
		}
	})
}

func revisionOf(t *testing.T, admin kubernetes.Interface) string {
	t.Helper()
	list, err := admin.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	must(t, err)
	return list.ResourceVersion
}

// TestOneDamagedSecretAlone has no other Secret that would show that the key is right:
// the signing keys do.
func TestOneDamagedSecretAlone(t *testing.T) {
	dir := t.TempDir()
	life(t, dir, "whole", "", func(s *system) {
		s.fill(1)
		s.flip("/registry/secrets/default/s0", -1)
	})
	life(t, dir, "damaged", "", func(s *system) {
		if got := setAside(t, s.admin()); !slices.Equal(got, []string{"/registry/secrets/default/s0"}) {
			t.Errorf("set aside are %q", got)
		}
	})
}
