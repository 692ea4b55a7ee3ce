// Package event owns the Event kind of core/v1: validation, table and storage.
// Events last an hour. Components record them through client-go's recorder. The same
// events are served by events.k8s.io, see internal/registry/events/event; it is more
// strict about what is written by it.
package event

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/resource"
)

// lifetime is how long an event is kept after its last write, as upstream's
// --event-ttl has it by default.
const lifetime = time.Hour

// Definition describes events.
func Definition() resource.Definition[*corev1.Event] {
	return resource.Definition[*corev1.Event]{
		GroupVersion: corev1.SchemeGroupVersion,
		Plural:       "events",
		Singular:     "event",
		ShortNames:   []string{"ev"},
		Namespaced:   true,
		New:          func() *corev1.Event { return &corev1.Event{} },
		NewList:      func() runtime.Object { return &corev1.EventList{} },
		Rules: resource.Rules[*corev1.Event]{
			// The name is that of an object, at times a long one, and a suffix.
			ValidName: path.ValidatePathSegmentName,
			Validate: func(ctx context.Context, e *corev1.Event) field.ErrorList {
				if newer(ctx) {
					return append(validate(e, "reportingController"), validateNewer(e)...)
				}
				return validate(e, "reportingComponent")
			},
			ValidateUpdate: func(ctx context.Context, e, old *corev1.Event) field.ErrorList {
				if newer(ctx) {
					return append(validate(e, "reportingController"), validateNewerUpdate(e, old)...)
				}
				return validate(e, "reportingComponent")
			},
			AllowCreateOnUpdate: true,
			Dependents:          rest.Unsupported,
		},
		Columns: columns(),
		Fields:  selectable,
		TTL:     lifetime,
	}
}

func selectable(e *corev1.Event) fields.Set {
	source := e.Source.Component
	if source == "" {
		source = e.ReportingController
	}
	return fields.Set{
		"involvedObject.kind":            e.InvolvedObject.Kind,
		"involvedObject.namespace":       e.InvolvedObject.Namespace,
		"involvedObject.name":            e.InvolvedObject.Name,
		"involvedObject.uid":             string(e.InvolvedObject.UID),
		"involvedObject.apiVersion":      e.InvolvedObject.APIVersion,
		"involvedObject.resourceVersion": e.InvolvedObject.ResourceVersion,
		"involvedObject.fieldPath":       e.InvolvedObject.FieldPath,
		"reason":                         e.Reason,
		"reportingComponent":             e.ReportingController,
		"source":                         source,
		"type":                           e.Type,
	}
}
