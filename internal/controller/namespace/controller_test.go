package namespace

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
)

func object(apiVersion, kind, name string, finalizers ...string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: apiVersion, Kind: kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, Finalizers: finalizers},
	}
}

func metadataClient(t *testing.T, objects ...runtime.Object) *metadatafake.FakeMetadataClient {
	t.Helper()
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return metadatafake.NewSimpleMetadataClient(scheme, objects...)
}

func TestContentOneByOne(t *testing.T) {
	client := metadataClient(t, object("v1", "ConfigMap", "a"), object("v1", "ConfigMap", "b"))
	r := resource{corev1.SchemeGroupVersion.WithResource("configmaps"), false}
	got, err := content{client}.remove(t.Context(), r, "n")
	if err != nil || got.objects != 0 {
		t.Errorf("left %+v, %v", got, err)
	}
	if got, err := (content{client}).remove(t.Context(), r, "empty"); err != nil || got.objects != 0 {
		t.Errorf("left in an empty namespace %+v, %v", got, err)
	}
}

func TestContentThatStays(t *testing.T) {
	client := metadataClient(t, object("v1", "ConfigMap", "a", "x", "y"), object("v1", "ConfigMap", "b", "x"))
	client.PrependReactor("delete-collection", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, nil })
	r := resource{corev1.SchemeGroupVersion.WithResource("configmaps"), true}
	got, err := content{client}.remove(t.Context(), r, "n")
	if err != nil || got.objects != 2 || got.finalizers["x"] != 2 || got.finalizers["y"] != 1 {
		t.Errorf("left %+v, %v", got, err)
	}
	client.PrependReactor("delete-collection", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("configmaps"), "", nil)
	})
	if got, err := (content{client}).remove(t.Context(), r, "n"); err == nil || got.objects != 2 {
		t.Errorf("a refused deletion left %+v, %v", got, err)
	}
}

func TestDiscover(t *testing.T) {
	client := fake.NewClientset()
	client.Resources = []*metav1.APIResourceList{{GroupVersion: "v1", APIResources: []metav1.APIResource{
		{Name: "pods", Namespaced: true, Verbs: metav1.Verbs{"list", "delete", "deletecollection"}},
		{Name: "services", Namespaced: true, Verbs: metav1.Verbs{"list", "delete"}},
		{Name: "bindings", Namespaced: true, Verbs: metav1.Verbs{"create"}},
	}}}
	got, parsing, err := discover(served{client.Discovery(), client.Resources})
	if err != nil || parsing != nil || len(got) != 2 || !got[0].collection || got[1].collection || got[1].Resource != "services" {
		t.Errorf("discovered %+v, %v", got, err)
	}
}

func TestTheEndOfPodsIsNoticedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		namespace := terminating()
		namespace.Spec.Finalizers = []corev1.FinalizerName{corev1.FinalizerKubernetes}
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"}}
		client := fake.NewClientset(namespace, p)
		finalized := make(chan time.Time, 1)
		client.PrependReactor("create", "namespaces", func(a clienttesting.Action) (bool, runtime.Object, error) {
			if a.GetSubresource() == "finalize" {
				finalized <- time.Now()
			}
			return true, namespace, nil
		})
		pods := metadataClient(t, object("v1", "Pod", "p"))
		pods.PrependReactor("delete-collection", "pods", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, nil })

		ctx, cancel := context.WithCancel(t.Context())
		factory := informers.NewSharedInformerFactory(client, 0)
		c := New(Config{Env: env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)}, Metadata: pods})
		c.decide.resources = func() ([]resource, error, error) {
			return []resource{{corev1.SchemeGroupVersion.WithResource("pods"), true}}, nil, nil
		}
		factory.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(recheck / 2)
		synctest.Wait()
		if len(finalized) > 0 {
			t.Fatal("finalized while a pod is left")
		}
		if err := pods.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "n", "p"); err != nil {
			t.Fatal(err)
		}
		ended := time.Now()
		if err := client.CoreV1().Pods("n").Delete(ctx, "p", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case at := <-finalized:
			if at.Sub(ended) > 10*time.Millisecond {
				t.Errorf("finalized %s after the last pod", at.Sub(ended))
			}
		default:
			t.Error("not finalized at the end of the last pod")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
}
