package event

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/registry/resource"
)

func columns() resource.Columns[*corev1.Event] {
	doc := corev1.Event{}.SwaggerDoc()
	object := corev1.ObjectReference{}.SwaggerDoc()
	return resource.Columns[*corev1.Event]{
		Columns: []resource.Column{
			{Name: "Last Seen", Type: "string", Description: doc["lastTimestamp"]},
			{Name: "Type", Type: "string", Description: doc["type"]},
			{Name: "Reason", Type: "string", Description: doc["reason"]},
			{Name: "Object", Type: "string", Description: doc["involvedObject"]},
			{Name: "Subobject", Type: "string", Priority: 1, Description: object["fieldPath"]},
			{Name: "Source", Type: "string", Priority: 1, Description: doc["source"]},
			{Name: "Message", Type: "string", Description: doc["message"]},
			{Name: "First Seen", Type: "string", Priority: 1, Description: doc["firstTimestamp"]},
			{Name: "Count", Type: "string", Priority: 1, Description: doc["count"]},
			{Name: "Name", Type: "string", Priority: 1, Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]},
		},
		Row: row,
	}
}

func row(e *corev1.Event) []any {
	first := resource.Since(e.FirstTimestamp)
	if e.FirstTimestamp.IsZero() {
		first = resource.Since(metav1.NewTime(e.EventTime.Time))
	}
	last, count := resource.Since(e.LastTimestamp), int64(e.Count)
	if e.LastTimestamp.IsZero() {
		last = first
	}
	switch {
	case e.Series != nil:
		last, count = resource.Since(metav1.NewTime(e.Series.LastObservedTime.Time)), int64(e.Series.Count)
	case count == 0:
		// The newer form of an event that happened once counts nothing.
		count = 1
	}
	return []any{
		last, e.Type, e.Reason, target(e.InvolvedObject), e.InvolvedObject.FieldPath,
		source(e), strings.TrimSpace(e.Message), first, count, e.Name,
	}
}

func target(o corev1.ObjectReference) string {
	kind := strings.ToLower(o.Kind)
	if o.Name == "" {
		return kind
	}
	return kind + "/" + o.Name
}

// source names who reported, in either form of an event.
func source(e *corev1.Event) string {
	component, instance := e.Source.Component, e.Source.Host
	if component == "" {
		component = e.ReportingController
	}
	if instance == "" {
		instance = e.ReportingInstance
	}
	if instance == "" {
		return component
	}
	return component + ", " + instance
}
