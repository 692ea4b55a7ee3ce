// Package priorityclass owns the PriorityClass kind of scheduling.k8s.io/v1: defaults,
// validation, table and storage, and the two classes of the system. What a class means
// for the pods that name it, that only one is the default, and that those of the system
// stay is decided in internal/admission/priority; whom pods make way for, in
// internal/controller/scheduler.
package priorityclass

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

const (
	// reserved begins the names of the system's classes.
	reserved = "system-"
	// highest is the greatest value of a class that is not the system's.
	highest = 1_000_000_000
)

// System returns the classes of the system, which always exist.
func System() []*schedulingv1.PriorityClass {
	class := func(name string, value int32, description string) *schedulingv1.PriorityClass {
		policy := corev1.PreemptLowerPriority
		return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value, Description: description, PreemptionPolicy: &policy}
	}
	return []*schedulingv1.PriorityClass{
		class("system-cluster-critical", 2*highest, "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."),
		class("system-node-critical", 2*highest+1000, "Used for system critical pods that must not be moved from their current node."),
	}
}

// IsSystem tells whether a class of that name is the system's.
func IsSystem(name string) bool { return system(name) != nil }

func system(name string) *schedulingv1.PriorityClass {
	for _, c := range System() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Definition describes priorities of pods.
func Definition() resource.Definition[*schedulingv1.PriorityClass] {
	return resource.Definition[*schedulingv1.PriorityClass]{
		GroupVersion: schedulingv1.SchemeGroupVersion,
		Plural:       "priorityclasses",
		Singular:     "priorityclass",
		ShortNames:   []string{"pc"},
		New:          func() *schedulingv1.PriorityClass { return &schedulingv1.PriorityClass{} },
		NewList:      func() runtime.Object { return &schedulingv1.PriorityClassList{} },
		Default: func(c *schedulingv1.PriorityClass) {
			if c.PreemptionPolicy == nil {
				policy := corev1.PreemptLowerPriority
				c.PreemptionPolicy = &policy
			}
		},
		Rules: resource.Rules[*schedulingv1.PriorityClass]{
			PrepareCreate: func(_ context.Context, c *schedulingv1.PriorityClass) { c.Generation = 1 },
			Validate:      func(_ context.Context, c *schedulingv1.PriorityClass) field.ErrorList { return validate(c) },
			ValidateUpdate: func(_ context.Context, c, old *schedulingv1.PriorityClass) field.ErrorList {
				return validateChange(c, old)
			},
			AllowCreateOnUpdate: true,
		},
		Columns: columns(),
	}
}

func validate(c *schedulingv1.PriorityClass) field.ErrorList {
	var errs field.ErrorList
	if strings.HasPrefix(c.Name, reserved) {
		if why := foreign(c); why != "" {
			errs = append(errs, field.Forbidden(field.NewPath("metadata", "name"),
				"priority class names with '"+reserved+"' prefix are reserved for system use only. error: "+why))
		}
	} else if c.Value > highest {
		errs = append(errs, field.Forbidden(field.NewPath("value"), fmt.Sprintf("maximum allowed value of a user defined priority is %v", highest)))
	}
	policies := []corev1.PreemptionPolicy{corev1.PreemptLowerPriority, corev1.PreemptNever}
	if p := c.PreemptionPolicy; p != nil && *p != policies[0] && *p != policies[1] {
		errs = append(errs, field.NotSupported(field.NewPath("preemptionPolicy"), *p, policies))
	}
	return errs
}

// foreign says why a class with a reserved name is not one of the system's, "" if it is.
func foreign(c *schedulingv1.PriorityClass) string {
	known := system(c.Name)
	switch {
	case known == nil:
		return c.Name + " is not a known system priority class"
	case known.Value != c.Value:
		return fmt.Sprintf("value of %v PriorityClass must be %v", known.Name, known.Value)
	case known.GlobalDefault != c.GlobalDefault:
		return fmt.Sprintf("globalDefault of %v PriorityClass must be %v", known.Name, known.GlobalDefault)
	}
	return ""
}

// validateChange keeps what pods were already told.
func validateChange(c, old *schedulingv1.PriorityClass) field.ErrorList {
	var errs field.ErrorList
	if c.Value != old.Value {
		errs = append(errs, field.Forbidden(field.NewPath("value"), "may not be changed in an update."))
	}
	return append(errs, apivalidation.ValidateImmutableField(c.PreemptionPolicy, old.PreemptionPolicy, field.NewPath("preemptionPolicy"))...)
}

func columns() resource.Columns[*schedulingv1.PriorityClass] {
	doc := schedulingv1.PriorityClass{}.SwaggerDoc()
	return resource.Columns[*schedulingv1.PriorityClass]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Value", Type: "integer", Description: doc["value"]},
			{Name: "Global-Default", Type: "boolean", Description: doc["globalDefault"]},
			resource.AgeColumn(),
			{Name: "PreemptionPolicy", Type: "string", Description: doc["preemptionPolicy"]},
		},
		Row: func(c *schedulingv1.PriorityClass) []any {
			policy := corev1.PreemptLowerPriority
			if c.PreemptionPolicy != nil {
				policy = *c.PreemptionPolicy
			}
			return []any{c.Name, int64(c.Value), c.GlobalDefault, resource.Age(c), string(policy)}
		},
	}
}
