package event

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Limits of an event in the newer form, in bytes.
const (
	maxName    = 128
	maxMessage = 1024
)

// maxBytes is how large an event may be in the store, in either form. Nobody counts how
// large those are that a list reads, see internal/apiserver/answers.
const maxBytes = 64 << 10

// validate accepts the older form of an event, which needs only the namespace of
// its object, and the newer one (with eventTime), which is strict. controller is what the
// field of the reporting controller is called in the API by which it is written.
func validate(e *corev1.Event, controller string) field.ErrorList {
	if size := e.Size(); size > maxBytes {
		return field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), e.Name, fmt.Sprintf("the event has %d bytes, more than the %d that one may have", size, maxBytes))}
	}
	if e.EventTime.IsZero() {
		return validateNamespace(e, e.Namespace == metav1.NamespaceDefault, false)
	}
	system := e.Namespace == metav1.NamespaceDefault || e.Namespace == metav1.NamespaceSystem
	errs := validateNamespace(e, system, true)
	errs = append(errs, require(controller, e.ReportingController)...)
	for _, msg := range validation.IsQualifiedName(e.ReportingController) {
		errs = append(errs, field.Invalid(field.NewPath(controller), e.ReportingController, msg))
	}
	errs = append(errs, require("reportingInstance", e.ReportingInstance)...)
	errs = append(errs, limit("reportingInstance", e.ReportingInstance, maxName)...)
	errs = append(errs, require("action", e.Action)...)
	errs = append(errs, limit("action", e.Action, maxName)...)
	errs = append(errs, require("reason", e.Reason)...)
	errs = append(errs, limit("reason", e.Reason, maxName)...)
	return append(errs, limit("message", e.Message, maxMessage)...)
}

// validateNamespace wants an event beside its object. Events about objects without
// a namespace belong in a system namespace; the newer form leaves any other
// namespace open to an object that names its own.
func validateNamespace(e *corev1.Event, system, newer bool) field.ErrorList {
	ns := e.InvolvedObject.Namespace
	if ns == "" && system || ns != "" && (newer || ns == e.Namespace) {
		return nil
	}
	at := field.NewPath("involvedObject", "namespace")
	return field.ErrorList{field.Invalid(at, ns, "does not match event.namespace")}
}

func require(name, value string) field.ErrorList {
	if value != "" {
		return nil
	}
	return field.ErrorList{field.Required(field.NewPath(name), "")}
}

func limit(name, value string, most int) field.ErrorList {
	if len(value) <= most {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath(name), "", fmt.Sprintf("can have at most %v characters", most))}
}
