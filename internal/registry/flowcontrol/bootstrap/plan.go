package bootstrap

import (
	"strconv"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"

	"laterna.dev/laterna/internal/registry/resource"
)

// automatic is the annotation of objects whose spec is kept as it is here: they have it
// until somebody sets it to false.
const automatic = flowcontrolv1.AutoUpdateAnnotationKey

// kept is how the objects of one kind are kept.
type kept[T resource.Object] struct {
	// mandatory objects have the spec that they have here, whatever their annotation
	// says; suggested ones only if it says so.
	mandatory, suggested []T
	// revise brings the spec of have to that of want, and tells whether it had to.
	revise func(have, want T) bool
}

// levels and schemas are what Kubernetes has, in its published words.
func levels() kept[*flowcontrolv1.PriorityLevelConfiguration] {
	return kept[*flowcontrolv1.PriorityLevelConfiguration]{
		mandatory: bootstrap.MandatoryPriorityLevelConfigurations,
		suggested: bootstrap.SuggestedPriorityLevelConfigurations,
		revise:    reviseLevel,
	}
}

func schemas() kept[*flowcontrolv1.FlowSchema] {
	return kept[*flowcontrolv1.FlowSchema]{
		mandatory: bootstrap.MandatoryFlowSchemas,
		suggested: bootstrap.SuggestedFlowSchemas,
		revise: func(have, want *flowcontrolv1.FlowSchema) bool {
			if equality.Semantic.DeepEqual(have.Spec, want.Spec) {
				return false
			}
			have.Spec = *want.Spec.DeepCopy()
			return true
		},
	}
}

// reviseLevel leaves what the exempt level is given and lends to those who run the system.
func reviseLevel(have, want *flowcontrolv1.PriorityLevelConfiguration) bool {
	spec := *want.Spec.DeepCopy()
	if own := have.Spec.Exempt; own != nil && spec.Exempt != nil {
		spec.Exempt = own
	}
	if equality.Semantic.DeepEqual(have.Spec, spec) {
		return false
	}
	have.Spec = spec
	return true
}

// changes are what brings stored objects to what they should be.
type changes[T resource.Object] struct{ create, update, remove []T }

// plan says what is to be written where have is stored, by name. It changes nothing of have.
func (k kept[T]) plan(have map[string]T) (c changes[T]) {
	wanted := map[string]bool{}
	for i, list := range [][]T{k.mandatory, k.suggested} {
		for _, want := range list {
			wanted[want.GetName()] = true
			stored, ok := have[want.GetName()]
			if !ok {
				c.create = append(c.create, want.DeepCopyObject().(T))
			} else if revised, changed := k.bring(stored, want, i == 0); changed {
				c.update = append(c.update, revised)
			}
		}
	}
	for name, stored := range have {
		if auto, said := annotated(stored); !wanted[name] && said && auto {
			c.remove = append(c.remove, stored) // of a version that had it
		}
	}
	return c
}

// bring returns stored as it should be, and whether that is another.
func (k kept[T]) bring(stored, want T, mandatory bool) (revised T, changed bool) {
	said, ok := annotated(stored)
	auto := said
	if !ok {
		// Nobody has said anything. What nobody has changed either is ours.
		auto = stored.GetGeneration() == 1
	}
	auto = auto || mandatory
	revised = stored.DeepCopyObject().(T)
	if !ok || said != auto {
		annotations := revised.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[automatic] = strconv.FormatBool(auto)
		revised.SetAnnotations(annotations)
		changed = true
	}
	if auto && k.revise(revised, want) {
		changed = true
	}
	return revised, changed
}

// annotated returns what the annotation of an object says; ok is false if it says nothing.
func annotated(o resource.Object) (auto, ok bool) {
	auto, err := strconv.ParseBool(o.GetAnnotations()[automatic])
	return auto, err == nil
}
