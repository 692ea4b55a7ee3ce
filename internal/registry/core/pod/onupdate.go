package pod

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/api/onupdate"
)

// validateOnUpdate checks the rules of what happens when volumes change. old is nil at
// creation; an annotation that is stored already does not stand in the way of other
// changes.
func validateOnUpdate(p, old *corev1.Pod) field.ErrorList {
	text, ok := p.Annotations[api.OnUpdate]
	if !ok {
		return nil
	}
	if old != nil {
		if before, had := old.Annotations[api.OnUpdate]; had && before == text {
			return nil
		}
	}
	path := field.NewPath("metadata", "annotations").Key(api.OnUpdate)
	rules, err := onupdate.Parse(text)
	if err == nil {
		err = onupdate.Validate(rules, p)
	}
	var found onupdate.Errors
	if err != nil && !errors.As(err, &found) {
		return field.ErrorList{field.InternalError(path, err)}
	}
	var errs field.ErrorList
	for _, e := range found {
		var value any = field.OmitValueType{}
		if e.Value != "" {
			value = e.Value
		}
		errs = append(errs, field.Invalid(path, value, e.Error()))
	}
	return errs
}
