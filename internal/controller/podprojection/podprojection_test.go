package podprojection

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
)

func pod(name string, uid types.UID) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: uid}}
}

func object(name string, owner types.UID) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.Kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: "object-" + types.UID(name),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: name, UID: owner}}},
	}
}

func TestReconcile(t *testing.T) {
	missing := apierrors.NewNotFound(corev1.Resource("pods"), "p")
	for name, tc := range map[string]struct {
		object               metav1.Object
		cached, live         *corev1.Pod
		liveErr, removeErr   error
		removed, asked, fail bool
	}{
		"no object":                    {},
		"pod is known":                 {object: object("p", "u"), cached: pod("p", "u")},
		"pod is new":                   {object: object("p", "u"), live: pod("p", "u"), asked: true},
		"cache has the one before":     {object: object("p", "u"), cached: pod("p", "before"), live: pod("p", "u"), asked: true},
		"pod is gone":                  {object: object("p", "u"), asked: true, removed: true},
		"pod is another one":           {object: object("p", "u"), live: pod("p", "next"), asked: true, removed: true},
		"pod is gone, cache is behind": {object: object("p", "before"), cached: pod("p", "u"), live: pod("p", "u"), asked: true, removed: true},
		"not known":                    {object: object("p", "u"), liveErr: errors.New("no answer"), asked: true, fail: true},
		"gone meanwhile":               {object: object("p", "u"), asked: true, removed: true, removeErr: missing},
		"not deleted":                  {object: object("p", "u"), asked: true, removed: true, removeErr: errors.New("no"), fail: true},
	} {
		asked, removed := false, false
		get := func(p *corev1.Pod) (*corev1.Pod, error) {
			if p == nil {
				return nil, missing
			}
			return p, nil
		}
		r := reconciler{
			object: func(string, string) metav1.Object { return tc.object },
			cached: func(string, string) (*corev1.Pod, error) { return get(tc.cached) },
			live: func(context.Context, string, string) (*corev1.Pod, error) {
				asked = true
				if tc.liveErr != nil {
					return nil, tc.liveErr
				}
				return get(tc.live)
			},
			remove: func(_ context.Context, namespace, name string, uid types.UID) error {
				removed = namespace == "ns" && name == "p" && uid == "object-p"
				return tc.removeErr
			},
		}
		err := r.reconcile(t.Context(), "ns", "p")
		if asked != tc.asked || removed != tc.removed || (err != nil) != tc.fail {
			t.Errorf("%s: asked %v, removed %v, %v", name, asked, removed, err)
		}
	}
}

// TestObjectsGoWithTheirPods runs the controller: one object has lost its pod before,
// one loses it now, one keeps it.
func TestObjectsGoWithTheirPods(t *testing.T) {
	client := fake.NewClientset(pod("stays", "1"), pod("goes", "2"))
	scheme := runtime.NewScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	meta := metadatafake.NewSimpleMetadataClient(scheme, object("stays", "1"), object("goes", "2"), object("left", "3"))
	factory := informers.NewSharedInformerFactory(client, 0)
	c := New(Config{Env: env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)}, Metadata: meta})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	factory.Start(ctx.Done())
	names := func() (all string) {
		list, err := meta.Resource(resource).Namespace("ns").List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			all += list.Items[i].Name + " "
		}
		return all
	}
	await := func(want string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); names() != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("objects %q, want %q", names(), want)
			}
		}
	}
	await("goes stays ")
	if err := client.CoreV1().Pods("ns").Delete(ctx, "goes", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	await("stays ")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	factory.Shutdown()
}
