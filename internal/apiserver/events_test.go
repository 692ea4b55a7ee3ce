package apiserver_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// newerEvent is an event as events.k8s.io wants it.
func newerEvent(name string) *eventsv1.Event {
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: map[string]string{"by": "newer"}},
		EventTime:  metav1.NewMicroTime(time.Unix(1700000000, 123456789)), ReportingController: "example.com/c", ReportingInstance: "i",
		Action: "Do", Reason: "Because", Note: "this is " + name, Type: "Normal",
		Regarding: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "default", Name: "p", UID: "u"},
	}
}

// TestEventsAreTheSameByBothAPIs writes by each API and reads by the other.
func TestEventsAreTheSameByBothAPIs(t *testing.T) {
	shared(t, map[string]func(*testing.T, *system){
		"what the newer writes, core reads": testNewerEvents,
		"what core writes, the newer reads": testOlderEvents,
		"the newer is strict":               testStrictEvents,
		"a watch begins with those there":   testWatchThatBeginsWithEvents,
	})
}

func testNewerEvents(t *testing.T, s *system) {
	core, newer, ctx := s.admin().CoreV1().Events("default"), s.admin().EventsV1().Events("default"), t.Context()
	list, err := newer.List(ctx, metav1.ListOptions{})
	must(t, err)
	watched, err := newer.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion, FieldSelector: "regarding.name=p,reportingController=example.com/c"})
	must(t, err)
	defer watched.Stop()
	made, err := newer.Create(ctx, newerEvent("a"), metav1.CreateOptions{FieldManager: "m"})
	must(t, err)
	if made.Note != "this is a" || made.UID == "" {
		t.Errorf("made %+v", made)
	}
	e := next(t, watched)
	if got, ok := e.Object.(*eventsv1.Event); !ok || e.Type != watch.Added || got.Note != made.Note || got.Regarding.UID != "u" {
		t.Errorf("event %+v", e)
	}
	old, err := core.Get(ctx, "a", metav1.GetOptions{})
	must(t, err)
	if old.Message != "this is a" || old.InvolvedObject.Name != "p" || old.ReportingController != "example.com/c" || old.Type != "Normal" {
		t.Errorf("by core: %+v", old)
	}
	patched, err := newer.Patch(ctx, "a", types.StrategicMergePatchType, []byte(`{"series":{"count":2,"lastObservedTime":"2023-11-14T22:13:21.000000Z"}}`), metav1.PatchOptions{})
	must(t, err)
	if patched.Series == nil || patched.Series.Count != 2 {
		t.Errorf("patched %+v", patched)
	}
	if old, err = core.Get(ctx, "a", metav1.GetOptions{}); err != nil || old.Series == nil || old.Series.Count != 2 {
		t.Errorf("by core: %+v, %v", old, err)
	}
	patched.Series.Count = 3
	updated, err := newer.Update(ctx, patched, metav1.UpdateOptions{})
	must(t, err)
	if updated.Series.Count != 3 || next(t, watched).Type != watch.Modified {
		t.Errorf("updated %+v", updated)
	}
	must(t, newer.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "by=newer"}))
	if _, err := core.Get(ctx, "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after its deletion: %v", err)
	}
}

func testOlderEvents(t *testing.T, s *system) {
	core, newer, ctx := s.admin().CoreV1().Events("default"), s.admin().EventsV1().Events("default"), t.Context()
	watched, err := newer.Watch(ctx, metav1.ListOptions{FieldSelector: "reason=Older"})
	must(t, err)
	defer watched.Stop()
	_, err = core.Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "o"}, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "q"},
		Reason: "Older", Message: "m", Count: 4, Source: corev1.EventSource{Component: "kubelet", Host: "n"}, FirstTimestamp: metav1.Now(), LastTimestamp: metav1.Now(),
	}, metav1.CreateOptions{})
	must(t, err)
	got, err := newer.Get(ctx, "o", metav1.GetOptions{})
	must(t, err)
	if got.Note != "m" || got.DeprecatedCount != 4 || got.DeprecatedSource.Host != "n" || got.DeprecatedFirstTimestamp.IsZero() {
		t.Errorf("by the newer: %+v", got)
	}
	if e, ok := next(t, watched).Object.(*eventsv1.Event); !ok || e.Name != "o" {
		t.Errorf("watched %+v", e)
	}
	all, err := s.admin().EventsV1().Events("").List(ctx, metav1.ListOptions{FieldSelector: "regarding.name=q,metadata.namespace=default"})
	must(t, err)
	if len(all.Items) != 1 || all.Items[0].Regarding.Name != "q" {
		t.Errorf("listed %+v", all.Items)
	}
	if _, err := newer.List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=q"}); !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "field label not supported: involvedObject.name") {
		t.Errorf("a field of the other API: %v", err)
	}
	if code, raw := s.fetch(s.privileged(), "GET", "/apis/events.k8s.io/v1/namespaces/default/events", nil, "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"); code != 200 || !strings.Contains(string(raw), "pod/q") {
		t.Errorf("table %d %s", code, raw)
	}
	must(t, newer.Delete(ctx, "o", metav1.DeleteOptions{}))
}

func testStrictEvents(t *testing.T, s *system) {
	newer, ctx := s.admin().EventsV1().Events("default"), t.Context()
	for want, change := range map[string]func(*eventsv1.Event){
		"eventTime: Required value":                            func(e *eventsv1.Event) { e.EventTime = metav1.MicroTime{} },
		`type: Invalid value: "": has invalid value: Other`:    func(e *eventsv1.Event) { e.Type = "Other" },
		`count: Invalid value: "": needs to be unset`:          func(e *eventsv1.Event) { e.DeprecatedCount = 1 },
		`source: Invalid value: "": needs to be unset`:         func(e *eventsv1.Event) { e.DeprecatedSource.Component = "c" },
		`firstTimestamp: Invalid value: "": needs to be unset`: func(e *eventsv1.Event) { e.DeprecatedFirstTimestamp = metav1.Now() },
		"reportingController: Required value":                  func(e *eventsv1.Event) { e.ReportingController = "" },
		"action: Required value":                               func(e *eventsv1.Event) { e.Action = "" },
		`series.count: Invalid value: "": should be at least 2`: func(e *eventsv1.Event) {
			e.Series = &eventsv1.EventSeries{Count: 1, LastObservedTime: metav1.NowMicro()}
		},
		"series.lastObservedTime: Required value": func(e *eventsv1.Event) { e.Series = &eventsv1.EventSeries{Count: 2} },
		"metadata.name: Invalid value":            func(e *eventsv1.Event) { e.Name = "Not_A_Name" },
	} {
		e := newerEvent("strict")
		change(e)
		if _, err := newer.Create(ctx, e, metav1.CreateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %s", err, want)
		}
	}
	made, err := newer.Create(ctx, newerEvent("kept"), metav1.CreateOptions{})
	must(t, err)
	for want, change := range map[string]func(*eventsv1.Event){
		"message: Invalid value":        func(e *eventsv1.Event) { e.Note = "other" },
		"involvedObject: Invalid value": func(e *eventsv1.Event) { e.Regarding.Name = "other" },
		"eventTime: Invalid value":      func(e *eventsv1.Event) { e.EventTime = metav1.NewMicroTime(time.Unix(1, 0)) },
	} {
		e := made.DeepCopy()
		change(e)
		if _, err := newer.Update(ctx, e, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "field is immutable") {
			t.Errorf("%v lacks %s", err, want)
		}
	}
	// By core it may be changed, as before.
	old, err := s.admin().CoreV1().Events("default").Get(ctx, "kept", metav1.GetOptions{})
	must(t, err)
	old.Message = "other"
	_, err = s.admin().CoreV1().Events("default").Update(ctx, old, metav1.UpdateOptions{})
	must(t, err)
	_, err = s.admin().CoreV1().Events("default").Create(ctx, &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "c"}, InvolvedObject: corev1.ObjectReference{Namespace: "default"}, EventTime: metav1.NowMicro()}, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "reportingComponent: Required value") {
		t.Errorf("by core: %v", err)
	}
}

// testWatchThatBeginsWithEvents lists and goes on, as informers do: events have no watch
// cache, so the store itself has to tell where the list ends.
func testWatchThatBeginsWithEvents(t *testing.T, s *system) {
	events, ctx := s.admin().EventsV1().Events("default"), t.Context()
	make := func(name string) {
		e := newerEvent(name)
		e.Labels["list"] = "first"
		_, err := events.Create(ctx, e, metav1.CreateOptions{})
		must(t, err)
	}
	make("first-1")
	make("first-2")
	watched, err := events.Watch(ctx, metav1.ListOptions{
		LabelSelector: "list=first", SendInitialEvents: new(true), AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	must(t, err)
	defer watched.Stop()
	for _, want := range []string{"first-1", "first-2"} {
		if e := next(t, watched); e.Type != watch.Added || e.Object.(*eventsv1.Event).Name != want {
			t.Errorf("%+v, want %s added", e, want)
		}
	}
	e := next(t, watched)
	if end, ok := e.Object.(*eventsv1.Event); !ok || e.Type != watch.Bookmark || end.Annotations[metav1.InitialEventsAnnotationKey] != "true" {
		t.Errorf("%+v, want the bookmark at the end of the list", e)
	}
	make("first-3")
	if e := next(t, watched); e.Type != watch.Added || e.Object.(*eventsv1.Event).Name != "first-3" {
		t.Errorf("%+v, want first-3 added", e)
	}
	list, err := events.List(ctx, metav1.ListOptions{LabelSelector: "list=first", Limit: 2, ResourceVersion: "0"})
	must(t, err)
	rest, err := events.List(ctx, metav1.ListOptions{LabelSelector: "list=first", Limit: 2, Continue: list.Continue})
	must(t, err)
	if len(list.Items) != 2 || len(rest.Items) != 1 || rest.Continue != "" {
		t.Errorf("%d and then %d events, want 2 and 1", len(list.Items), len(rest.Items))
	}
}
