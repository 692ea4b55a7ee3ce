package resource

import (
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// Selects returns what tells whether options ask for an object of a kind that is not in the
// store, by its labels and its name. Without options all are asked for.
func Selects[T Object](o *internalversion.ListOptions) func(T) bool {
	label, field := labels.Everything(), fields.Everything()
	if o != nil && o.LabelSelector != nil {
		label = o.LabelSelector
	}
	if o != nil && o.FieldSelector != nil {
		field = o.FieldSelector
	}
	return func(obj T) bool {
		return label.Matches(labels.Set(obj.GetLabels())) && field.Matches(fields.Set{"metadata.name": obj.GetName()})
	}
}
