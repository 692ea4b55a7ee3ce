package apiserver_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// TestWatchesOfAKindGoOnWhenItsCacheBegins watches a kind from revisions before its first
// object, and from later ones, while its watch cache takes the place of the store.
func TestWatchesOfAKindGoOnWhenItsCacheBegins(t *testing.T) {
	s := boot(t, t.TempDir())
	revisions := s.admin().AppsV1().ControllerRevisions("default")
	before, err := revisions.List(t.Context(), metav1.ListOptions{})
	must(t, err)
	running, err := revisions.Watch(t.Context(), metav1.ListOptions{ResourceVersion: before.ResourceVersion})
	must(t, err)
	defer running.Stop()
	of := func(name string) *appsv1.ControllerRevision {
		return &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: runtime.RawExtension{Raw: []byte("{}")}, Revision: 1}
	}
	first, err := revisions.Create(t.Context(), of("first"), metav1.CreateOptions{})
	must(t, err)
	// Others are written, so that the cache begins at a later revision than the first object.
	for range 3 {
		_, err := s.admin().CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "c"}}, metav1.CreateOptions{})
		must(t, err)
	}
	next := func(w watch.Interface, what, want string) {
		t.Helper()
		select {
		case e := <-w.ResultChan():
			o, ok := e.Object.(*appsv1.ControllerRevision)
			if !ok || e.Type != watch.Added || o.Name != want {
				t.Fatalf("%s: %s %v, want %s", what, e.Type, e.Object, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: no event of %s", what, want)
		}
	}
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		w, err := revisions.Watch(t.Context(), metav1.ListOptions{ResourceVersion: before.ResourceVersion})
		must(t, err)
		next(w, "from before the first object", "first")
		w.Stop()
	}
	fresh, err := revisions.Watch(t.Context(), metav1.ListOptions{ResourceVersion: first.ResourceVersion})
	must(t, err)
	defer fresh.Stop()
	_, err = revisions.Create(t.Context(), of("second"), metav1.CreateOptions{})
	must(t, err)
	next(running, "begun before the first object", "first")
	next(running, "begun before the first object", "second")
	next(fresh, "from the first object on", "second")
	if list, err := revisions.List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 2 {
		t.Errorf("%v, %v", list, err)
	}
}
