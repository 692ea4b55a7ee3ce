package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// happened is an event of the older API.
func happened(name, set string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"testevent-set": set}}, Message: "This is " + name, Reason: "Test", Type: "Normal", Count: 1,
	}
}

func TestConformanceEvents(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-instrumentation] Events should manage the lifecycle of an event", s.eventLives)
	s.conforms(t, "[sig-instrumentation] Events should delete a collection of events", func(t *testing.T) {
		events, set := s.client.CoreV1().Events(s.ns), metav1.ListOptions{LabelSelector: "testevent-set=many"}
		for i := range 3 {
			e := happened(fmt.Sprintf("many-%d", i), "many")
			e.InvolvedObject.Namespace = s.ns
			if _, err := events.Create(t.Context(), e, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if list, err := events.List(t.Context(), set); err != nil || len(list.Items) != 3 {
			t.Fatalf("%d events, %v", len(list.Items), err)
		}
		if err := events.DeleteCollection(t.Context(), metav1.DeleteOptions{}, set); err != nil {
			t.Fatal(err)
		}
		if list, err := events.List(t.Context(), set); err != nil || len(list.Items) != 0 {
			t.Errorf("%d events are left, %v", len(list.Items), err)
		}
	})
	s.conforms(t, "[sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed", s.newerEventLives)
	s.conforms(t, "[sig-instrumentation] Events API should delete a collection of events", func(t *testing.T) {
		events, set := s.client.EventsV1().Events(s.ns), metav1.ListOptions{LabelSelector: "testevent-set=newer"}
		for i := range 3 {
			if _, err := events.Create(t.Context(), s.noted(fmt.Sprintf("newer-%d", i), "newer"), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if list, err := events.List(t.Context(), set); err != nil || len(list.Items) != 3 {
			t.Fatalf("%d events, %v", len(list.Items), err)
		}
		if err := events.DeleteCollection(t.Context(), metav1.DeleteOptions{}, set); err != nil {
			t.Fatal(err)
		}
		if list, err := events.List(t.Context(), set); err != nil || len(list.Items) != 0 {
			t.Errorf("%d events are left, %v", len(list.Items), err)
		}
	})
	t.Run("kubectl shows the events of either API", func(t *testing.T) {
		if _, err := s.client.EventsV1().Events(s.ns).Create(t.Context(), s.noted("shown", "shown"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"kubectl events -n " + s.ns, "kubectl get events -n " + s.ns, "kubectl get events.events.k8s.io -n " + s.ns} {
			contains(t, strings.ToLower(s.sh(t, line)), "this is shown", "pod/noted")
		}
	})
}

// noted is an event of the newer API.
func (s *stage) noted(name, set string) *eventsv1.Event {
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"testevent-set": set}},
		Regarding:  corev1.ObjectReference{Namespace: s.ns, Kind: "Pod", Name: "noted"}, EventTime: metav1.NewMicroTime(time.Now()),
		Note: "this is " + name, Reason: "Test", Action: "Do", Type: "Normal", ReportingController: "test-controller", ReportingInstance: "test-node",
	}
}

func (s *stage) eventLives(t *testing.T) {
	events := s.client.CoreV1().Events(s.ns)
	made := happened("event-test", "one")
	made.InvolvedObject.Namespace = s.ns
	if _, err := events.Create(t.Context(), made, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	found := func() *corev1.Event {
		all, err := s.client.CoreV1().Events("").List(t.Context(), metav1.ListOptions{LabelSelector: "testevent-set=one", FieldSelector: "metadata.namespace=" + s.ns})
		if err != nil {
			t.Fatal(err)
		}
		if len(all.Items) != 1 {
			return nil
		}
		return &all.Items[0]
	}
	if e := found(); e == nil || e.Message != made.Message {
		t.Fatalf("in all namespaces: %+v", e)
	}
	if _, err := events.Patch(t.Context(), made.Name, types.StrategicMergePatchType, []byte(`{"message":"This is a test event - patched"}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	e := found()
	if e == nil || e.Message != "This is a test event - patched" {
		t.Fatalf("patched: %+v", e)
	}
	e.Series = &corev1.EventSeries{Count: 100, LastObservedTime: metav1.NewMicroTime(time.Unix(1505828951, 0))}
	if _, err := events.Update(t.Context(), e, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if e = found(); e == nil || e.Series == nil || e.Series.Count != 100 || !e.Series.LastObservedTime.Equal(&metav1.MicroTime{Time: time.Unix(1505828951, 0)}) {
		t.Errorf("updated: %+v", e)
	}
	if err := events.Delete(t.Context(), made.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if e := found(); e != nil {
		t.Errorf("deleted: %+v", e)
	}
}

func (s *stage) newerEventLives(t *testing.T) {
	events, one := s.client.EventsV1().Events(s.ns), metav1.ListOptions{LabelSelector: "testevent-set=newer-one"}
	made, err := events.Create(t.Context(), s.noted("newer-event", "newer-one"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{"", s.ns} {
		all, err := s.client.EventsV1().Events(namespace).List(t.Context(), one)
		if err != nil || len(all.Items) != 1 || all.Items[0].Note != made.Note || all.Items[0].Regarding != made.Regarding || !all.Items[0].EventTime.Equal(&made.EventTime) {
			t.Errorf("in namespace %q: %+v, %v", namespace, all.Items, err)
		}
	}
	for selector, want := range map[string]int{"reportingController=test-controller": 1, "reportingController=other": 0} {
		all, err := events.List(t.Context(), metav1.ListOptions{LabelSelector: one.LabelSelector, FieldSelector: selector})
		if err != nil || len(all.Items) != want {
			t.Errorf("%s: %d, %v", selector, len(all.Items), err)
		}
	}
	if _, err := events.Patch(t.Context(), made.Name, types.StrategicMergePatchType, []byte(`{"series":{"count":2,"lastObservedTime":"2014-07-10T10:00:00.000000Z"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := events.Get(t.Context(), made.Name, metav1.GetOptions{})
	if err != nil || got.Series == nil || got.Series.Count != 2 {
		t.Fatalf("patched: %+v, %v", got, err)
	}
	got.Series = &eventsv1.EventSeries{Count: 100, LastObservedTime: metav1.NewMicroTime(time.Now())}
	if got, err = events.Update(t.Context(), got, metav1.UpdateOptions{}); err != nil || got.Series.Count != 100 {
		t.Errorf("updated: %+v, %v", got, err)
	}
	if err := events.Delete(t.Context(), made.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := events.Get(t.Context(), made.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("deleted: %v", err)
	}
}
