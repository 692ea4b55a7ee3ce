package event

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

func TestValidate(t *testing.T) {
	const mismatch = "does not match event.namespace"
	newer := func(change func(*corev1.Event)) corev1.Event {
		e := corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}, InvolvedObject: corev1.ObjectReference{Namespace: "ns"},
			EventTime: metav1.NowMicro(), ReportingController: "example.com/c", ReportingInstance: "i", Action: "Act", Reason: "Why",
		}
		change(&e)
		return e
	}
	older := func(namespace, object string) corev1.Event {
		return corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}, InvolvedObject: corev1.ObjectReference{Namespace: object}}
	}
	for _, tc := range []struct {
		name  string
		event corev1.Event
		want  []string
	}{
		{"older", older("ns", "ns"), nil},
		{"older, of a node", older("default", ""), nil},
		{"older, of a node, elsewhere", older("kube-system", ""), []string{`involvedObject.namespace: Invalid value: "": ` + mismatch}},
		{"older, elsewhere", older("ns", "other"), []string{`involvedObject.namespace: Invalid value: "other": ` + mismatch}},
		{"newer", newer(func(*corev1.Event) {}), nil},
		{"newer, of a node", newer(func(e *corev1.Event) { e.Namespace, e.InvolvedObject.Namespace = "kube-system", "" }), nil},
		{"newer, of a node, elsewhere", newer(func(e *corev1.Event) { e.InvolvedObject.Namespace = "" }), []string{mismatch}},
		{"newer, empty", newer(func(e *corev1.Event) { e.ReportingController, e.ReportingInstance, e.Action, e.Reason = "", "", "", "" }), []string{
			"reportingController: Required value", "reportingInstance: Required value", "action: Required value", "reason: Required value",
		}},
		{"newer, long", newer(func(e *corev1.Event) {
			e.Action, e.Message = strings.Repeat("a", 129), strings.Repeat("m", 1025)
		}), []string{`action: Invalid value: "": can have at most 128 characters`, `message: Invalid value: "": can have at most 1024 characters`}},
		{"large", func() corev1.Event {
			e := older("ns", "ns")
			e.Message = strings.Repeat("m", maxBytes)
			return e
		}(), []string{"the event has 65", "more than the 65536 that one may have"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := validate(&tc.event, "reportingController").ToAggregate()
			if len(tc.want) == 0 && err != nil {
				t.Fatalf("unexpected: %v", err)
			}
			for _, w := range tc.want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("error %v\nlacks %s", err, w)
				}
			}
		})
	}
}

func TestRow(t *testing.T) {
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(time.Now().Add(-d)) }
	classic := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: "e"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "p", FieldPath: "spec.containers{c}"},
		Type:           "Normal", Reason: "Pulled", Message: " text\n",
		Source: corev1.EventSource{Component: "kubelet", Host: "node"},
		Count:  3, FirstTimestamp: ago(time.Hour), LastTimestamp: ago(5 * time.Second),
	}
	want := []any{"5s", "Normal", "Pulled", "pod/p", "spec.containers{c}", "kubelet, node", "text", "60m", int64(3), "e"}
	if row := columns().Row(classic); !slices.Equal(row, want) || len(row) != len(columns().Columns) {
		t.Errorf("row %v\nwant %v", row, want)
	}
	newer := &corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: "Node"}, EventTime: metav1.MicroTime(ago(10 * time.Second)), ReportingController: "c"}
	want = []any{"10s", "", "", "node", "", "c", "", "10s", int64(1), ""}
	if row := columns().Row(newer); !slices.Equal(row, want) {
		t.Errorf("row %v\nwant %v", row, want)
	}
	newer.Series = &corev1.EventSeries{Count: 7, LastObservedTime: metav1.MicroTime(ago(2 * time.Second))}
	if row := columns().Row(newer); row[0] != "2s" || row[8] != int64(7) {
		t.Errorf("row of a series %v", row)
	}
}

func TestFields(t *testing.T) {
	e := &corev1.Event{ReportingController: "r", InvolvedObject: corev1.ObjectReference{UID: "u", Kind: "Pod"}}
	if got := selectable(e); got["source"] != "r" || got["involvedObject.uid"] != "u" || got["involvedObject.kind"] != "Pod" {
		t.Errorf("fields %v", got)
	}
	e.Source.Component = "c"
	if got := selectable(e); got["source"] != "c" || got["reportingComponent"] != "r" {
		t.Errorf("fields %v", got)
	}
	s := resourcetest.Scheme(t, Definition().Register)
	for label := range selectable(e) {
		if _, _, err := s.ConvertFieldLabel(corev1.SchemeGroupVersion.WithKind("Event"), label, ""); err != nil {
			t.Errorf("%s: %v", label, err)
		}
	}
	if _, _, err := s.ConvertFieldLabel(corev1.SchemeGroupVersion.WithKind("Event"), "message", ""); err == nil {
		t.Error("message is selectable")
	}
}

func TestEventsOfLongNamesAreStored(t *testing.T) {
	paths, err := Definition().Storages(resourcetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "ns", Name: strings.Repeat("a", 253) + ".17abcdef"},
		InvolvedObject: corev1.ObjectReference{Namespace: "ns"},
	}
	ctx := resourcetest.Context(t, "ns")
	if _, err := paths["events"].(rest.Creater).Create(ctx, e, resourcetest.Allow, &metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
	e.Name, e.ResourceVersion = "a/b", ""
	if _, err := paths["events"].(rest.Creater).Create(ctx, e, resourcetest.Allow, &metav1.CreateOptions{}); err == nil {
		t.Error("an event with a slash in its name is stored")
	}
}

// TestFactsAreToldOnce tells the same several times, and another.
func TestFactsAreToldOnce(t *testing.T) {
	env := resourcetest.Env(t, Definition().Register)
	events, err := resource.New(Definition(), env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(events.Destroy)
	now := clocktesting.NewFakeClock(time.Now())
	teller := Teller{Events: events, Wall: clock.WallOf(now)}
	fact := Fact{About: corev1.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: "ns", Name: "web", UID: "1"}, By: "finder", Action: "Find", Reason: "Found", Message: "it is wrong"}
	other := Fact{About: corev1.ObjectReference{APIVersion: "networking.k8s.io/v1", Kind: "IPAddress", Name: "10.0.0.1", UID: "2"}, By: "finder", Action: "Find", Reason: "Found", Message: "it is wrong"}
	for _, f := range []Fact{fact, fact, other, fact} {
		now.Step(time.Minute)
		if err := teller.Tell(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	for namespace, times := range map[string]int32{"ns": 3, "default": 0} {
		obj, err := events.List(resourcetest.Context(t, namespace), &metainternal.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all := obj.(*corev1.EventList).Items
		if len(all) != 1 {
			t.Fatalf("%d events in %s", len(all), namespace)
		}
		e := all[0]
		if e.Type != "Warning" || e.Reason != "Found" || e.Message != "it is wrong" || e.ReportingController != "finder" || e.Series == nil != (times == 0) {
			t.Errorf("event %+v", e)
		}
		if e.Series != nil && (e.Series.Count != times || e.Series.LastObservedTime.Sub(e.EventTime.Time) != 3*time.Minute) {
			t.Errorf("series %+v since %v", e.Series, e.EventTime)
		}
	}
}
