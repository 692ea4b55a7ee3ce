package event

import (
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// stored is an event as core/v1 and the store have it.
func stored(e *eventsv1.Event) *corev1.Event {
	c := &corev1.Event{
		ObjectMeta: e.ObjectMeta, InvolvedObject: e.Regarding, Related: e.Related, Reason: e.Reason, Message: e.Note, Type: e.Type,
		EventTime: e.EventTime, Action: e.Action, ReportingController: e.ReportingController, ReportingInstance: e.ReportingInstance,
		Source: e.DeprecatedSource, FirstTimestamp: e.DeprecatedFirstTimestamp, LastTimestamp: e.DeprecatedLastTimestamp, Count: e.DeprecatedCount,
	}
	if s := e.Series; s != nil {
		c.Series = &corev1.EventSeries{Count: s.Count, LastObservedTime: s.LastObservedTime}
	}
	return c
}

// shown is a stored event as events.k8s.io/v1 has it.
func shown(c *corev1.Event) *eventsv1.Event {
	e := &eventsv1.Event{
		ObjectMeta: c.ObjectMeta, Regarding: c.InvolvedObject, Related: c.Related, Reason: c.Reason, Note: c.Message, Type: c.Type,
		EventTime: c.EventTime, Action: c.Action, ReportingController: c.ReportingController, ReportingInstance: c.ReportingInstance,
		DeprecatedSource: c.Source, DeprecatedFirstTimestamp: c.FirstTimestamp, DeprecatedLastTimestamp: c.LastTimestamp, DeprecatedCount: c.Count,
	}
	if s := c.Series; s != nil {
		e.Series = &eventsv1.EventSeries{Count: s.Count, LastObservedTime: s.LastObservedTime}
	}
	return e
}

// show is shown for what the store answers: an event, events, or what is neither, such as
// a Status, which stays as it is.
func show(obj runtime.Object) runtime.Object {
	if cached, ok := obj.(runtime.CacheableObject); ok {
		obj = cached.GetObject()
	}
	switch o := obj.(type) {
	case *corev1.Event:
		return shown(o)
	case *corev1.EventList:
		list := &eventsv1.EventList{ListMeta: o.ListMeta, Items: make([]eventsv1.Event, 0, len(o.Items))}
		for i := range o.Items {
			list.Items = append(list.Items, *shown(&o.Items[i]))
		}
		return list
	}
	return obj
}

// store is the other way round.
func store(obj runtime.Object) runtime.Object {
	switch o := obj.(type) {
	case *eventsv1.Event:
		return stored(o)
	case *eventsv1.EventList:
		list := &corev1.EventList{ListMeta: o.ListMeta, Items: make([]corev1.Event, 0, len(o.Items))}
		for i := range o.Items {
			list.Items = append(list.Items, *stored(&o.Items[i]))
		}
		return list
	}
	return obj
}
