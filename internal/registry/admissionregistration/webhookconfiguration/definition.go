// Package webhookconfiguration owns the kinds MutatingWebhookConfiguration and
// ValidatingWebhookConfiguration of admissionregistration.k8s.io/v1: defaults, validation,
// table and storage.
//
// The two say nearly the same of a webhook, so that here they are one: hook. Whom webhooks
// are asked about, and how they are called, is internal/admission/webhook's.
package webhookconfiguration

import (
	"context"
	"reflect"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/admissionregistration/matching"
	"laterna.dev/laterna/internal/registry/resource"
)

// categories are those of both kinds.
var categories = []string{"api-extensions"}

// Mutating describes configurations of webhooks that may change objects.
func Mutating(c *matching.Conditions) resource.Definition[*admissionregistrationv1.MutatingWebhookConfiguration] {
	k := kind[*admissionregistrationv1.MutatingWebhookConfiguration]{conditions: c,
		hooks: func(o *admissionregistrationv1.MutatingWebhookConfiguration) (all []hook) {
			for i := range o.Webhooks {
				all = append(all, mutating(&o.Webhooks[i]))
			}
			return all
		},
		said: func(o *admissionregistrationv1.MutatingWebhookConfiguration) any { return o.Webhooks },
	}
	return resource.Definition[*admissionregistrationv1.MutatingWebhookConfiguration]{
		GroupVersion: admissionregistrationv1.SchemeGroupVersion,
		Plural:       "mutatingwebhookconfigurations",
		Singular:     "mutatingwebhookconfiguration",
		Categories:   categories,
		New: func() *admissionregistrationv1.MutatingWebhookConfiguration {
			return &admissionregistrationv1.MutatingWebhookConfiguration{}
		},
		NewList: func() runtime.Object { return &admissionregistrationv1.MutatingWebhookConfigurationList{} },
		Default: k.setDefaults,
		Rules:   k.rules(),
		Columns: k.columns(),
	}
}

// Validating describes configurations of webhooks that may refuse objects.
func Validating(c *matching.Conditions) resource.Definition[*admissionregistrationv1.ValidatingWebhookConfiguration] {
	k := kind[*admissionregistrationv1.ValidatingWebhookConfiguration]{conditions: c,
		hooks: func(o *admissionregistrationv1.ValidatingWebhookConfiguration) (all []hook) {
			for i := range o.Webhooks {
				all = append(all, validating(&o.Webhooks[i]))
			}
			return all
		},
		said: func(o *admissionregistrationv1.ValidatingWebhookConfiguration) any { return o.Webhooks },
	}
	return resource.Definition[*admissionregistrationv1.ValidatingWebhookConfiguration]{
		GroupVersion: admissionregistrationv1.SchemeGroupVersion,
		Plural:       "validatingwebhookconfigurations",
		Singular:     "validatingwebhookconfiguration",
		Categories:   categories,
		New: func() *admissionregistrationv1.ValidatingWebhookConfiguration {
			return &admissionregistrationv1.ValidatingWebhookConfiguration{}
		},
		NewList: func() runtime.Object { return &admissionregistrationv1.ValidatingWebhookConfigurationList{} },
		Default: k.setDefaults,
		Rules:   k.rules(),
		Columns: k.columns(),
	}
}

// kind is what differs between the two.
type kind[T resource.Object] struct {
	conditions *matching.Conditions
	hooks      func(T) []hook
	// said is what a configuration says, whose changes count as generations.
	said func(T) any
}

func (k kind[T]) setDefaults(obj T) {
	for _, h := range k.hooks(obj) {
		h.setDefaults()
	}
}

func (k kind[T]) rules() resource.Rules[T] {
	return resource.Rules[T]{
		PrepareCreate: func(_ context.Context, obj T) { obj.SetGeneration(1) },
		PrepareUpdate: func(_ context.Context, obj, old T) {
			obj.SetGeneration(old.GetGeneration())
			if !reflect.DeepEqual(k.said(obj), k.said(old)) {
				obj.SetGeneration(old.GetGeneration() + 1)
			}
		},
		Validate: func(ctx context.Context, obj T) field.ErrorList {
			return validate(k.hooks(obj), strict(), newConditions(ctx, k.conditions))
		},
		ValidateUpdate: func(ctx context.Context, obj, old T) field.ErrorList {
			return validate(k.hooks(obj), since(k.hooks(old)), changedConditions(ctx, k.conditions, k.hooks(obj), k.hooks(old)))
		},
		RequireResourceVersion: true,
	}
}

func (k kind[T]) columns() resource.Columns[T] {
	return resource.Columns[T]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Webhooks", Type: "integer", Description: "Webhooks indicates the number of webhooks registered in this configuration"},
			resource.AgeColumn(),
		},
		Row: func(obj T) []any { return []any{obj.GetName(), int64(len(k.hooks(obj))), resource.Age(obj)} },
	}
}
