package events_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/node/events"
)

func pod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "till-0", UID: "p1", ResourceVersion: "7"},
		Spec: corev1.PodSpec{
			InitContainers:      []corev1.Container{{Name: "migrate"}},
			Containers:          []corev1.Container{{Name: "web"}},
			EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug"}}},
		},
	}
}

func TestContainerIsNamedByItsList(t *testing.T) {
	for name, want := range map[string]string{
		"web":     "spec.containers{web}",
		"migrate": "spec.initContainers{migrate}",
		"debug":   "spec.ephemeralContainers{debug}",
		"unknown": "spec.containers{unknown}",
	} {
		ref := events.Container(pod(), name)
		if ref.FieldPath != want || ref.Kind != "Pod" || ref.Namespace != "shop" || ref.Name != "till-0" || ref.UID != "p1" || ref.ResourceVersion != "7" {
			t.Errorf("%s is %+v, want %s", name, ref, want)
		}
	}
	if ref := events.Pod(pod()); ref.FieldPath != "" || ref.APIVersion != "v1" {
		t.Errorf("the pod is %+v", ref)
	}
}

// TestNodeIsNamedAsUpstreamsKubeletDoes: `kubectl describe node` looks for that UID.
func TestNodeIsNamedAsUpstreamsKubeletDoes(t *testing.T) {
	if ref := events.Node("a"); ref.UID != "a" || ref.Kind != "Node" || ref.Namespace != "" {
		t.Errorf("got %+v", ref)
	}
	if got := events.PodName(pod()); got != "till-0_shop(p1)" {
		t.Errorf("the pod is called %s", got)
	}
}

func TestEventsAreWrittenAsTheKubelet(t *testing.T) {
	client := fake.NewClientset()
	written := make(chan *corev1.Event, 10)
	client.PrependReactor("create", "events", func(a clienttesting.Action) (bool, runtime.Object, error) {
		e := a.(clienttesting.CreateAction).GetObject().(*corev1.Event)
		written <- e
		return true, e, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	recorder := events.NewRecorder(ctx, client, "a")
	recorder.Event(events.Container(pod(), "web"), corev1.EventTypeNormal, events.Started, "Container started")
	select {
	case e := <-written:
		if e.Source.Component != "kubelet" || e.Source.Host != "a" || e.Namespace != "shop" || e.Reason != "Started" || e.InvolvedObject.FieldPath != "spec.containers{web}" {
			t.Errorf("event %+v", e)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no event was written")
	}
}
