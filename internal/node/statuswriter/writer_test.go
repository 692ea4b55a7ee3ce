package statuswriter

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"laterna.dev/laterna/internal/clock"
)

// api has one pod; slow, while it is set, holds an update until it is closed.
type api struct {
	pod     *corev1.Pod
	slow    chan struct{}
	updates []corev1.PodPhase
}

func (a *api) Get(context.Context, string, metav1.GetOptions) (*corev1.Pod, error) {
	return a.pod.DeepCopy(), nil
}

func (a *api) UpdateStatus(_ context.Context, pod *corev1.Pod, _ metav1.UpdateOptions) (*corev1.Pod, error) {
	if a.slow != nil {
		<-a.slow
	}
	a.updates = append(a.updates, pod.Status.Phase)
	if pod.UID != a.pod.UID || pod.ResourceVersion != a.pod.ResourceVersion {
		return nil, apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, pod.Name, nil)
	}
	a.pod = pod.DeepCopy()
	a.pod.ResourceVersion += "0"
	return a.pod.DeepCopy(), nil
}

// writer writes to the API over the pod as it was first.
func (a *api) writer(t *testing.T) *Writer {
	w := New(Config{
		Pods: func(string) Pods { return a }, Clock: clock.Real(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}, a.pod.DeepCopy())
	w.Start(t.Context())
	return w
}

func first() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "u", ResourceVersion: "1"}}
}

func TestNewestStatusIsWrittenAndThoseBetweenAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{pod: first(), slow: make(chan struct{})}
		w := a.writer(t)
		for _, phase := range []corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded} {
			w.Write(corev1.PodStatus{Phase: phase})
			synctest.Wait()
		}
		close(a.slow)
		w.Flush(t.Context())
		w.Stop()
		if len(a.updates) != 2 || a.pod.Status.Phase != corev1.PodSucceeded {
			t.Errorf("updates %q, at last %q", a.updates, a.pod.Status.Phase)
		}
	})
}

func TestConditionsOfOthersStayAfterAConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{pod: first()}
		w := a.writer(t)
		a.pod.ResourceVersion = "2"
		a.pod.Status.Conditions = []corev1.PodCondition{{Type: "example.com/gate", Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionFalse}}
		w.Write(corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}})
		w.Flush(t.Context())
		w.Stop()
		got := map[corev1.PodConditionType]corev1.ConditionStatus{}
		for _, c := range a.pod.Status.Conditions {
			got[c.Type] = c.Status
		}
		if a.pod.Status.Phase != corev1.PodRunning || got["example.com/gate"] != corev1.ConditionTrue || got[corev1.PodReady] != corev1.ConditionTrue {
			t.Errorf("%+v", a.pod.Status)
		}
	})
}

func TestAnotherPodOfTheNameIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{pod: first()}
		w := a.writer(t)
		a.pod.UID = "another"
		w.Write(corev1.PodStatus{Phase: corev1.PodFailed})
		w.Flush(t.Context())
		w.Stop()
		if len(a.updates) != 1 || a.pod.Status.Phase != "" {
			t.Errorf("updates %q, at last %q", a.updates, a.pod.Status.Phase)
		}
	})
}
