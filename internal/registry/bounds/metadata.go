package bounds

import (
	"maps"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Metadata returns an object's metadata as it is to be validated: with at most a little
// more than MaxErrors labels or annotations that are wrong, and with the others only
// where all can be right. The library's validation lists every mistake.
func Metadata(o metav1.Object) metav1.Object {
	labels := wrong(o.GetLabels(), func(one map[string]string) bool {
		return len(validation.ValidateLabels(one, nil)) > 0
	})
	annotations := wrong(o.GetAnnotations(), func(one map[string]string) bool {
		return len(apivalidation.ValidateAnnotations(one, nil)) > 0
	})
	if labels == nil && annotations == nil {
		return o
	}
	return trimmed{o, labels, annotations}
}

// MetadataMistakes returns what is wrong with metadata when that is more than an answer
// lists, and nil otherwise: somebody else finds it then. It costs nothing where there is
// not much metadata.
func MetadataMistakes(o metav1.Object) field.ErrorList {
	if len(o.GetLabels())+len(o.GetAnnotations())+len(o.GetOwnerReferences())+len(o.GetFinalizers())+len(o.GetManagedFields()) <= MaxErrors/4 {
		return nil
	}
	path, m := field.NewPath("metadata"), Metadata(o)
	errs := validation.ValidateLabels(m.GetLabels(), path.Child("labels"))
	errs = append(errs, apivalidation.ValidateAnnotations(m.GetAnnotations(), path.Child("annotations"))...)
	errs = append(errs, apivalidation.ValidateOwnerReferences(m.GetOwnerReferences(), path.Child("ownerReferences"))...)
	errs = append(errs, apivalidation.ValidateFinalizers(m.GetFinalizers(), path.Child("finalizers"))...)
	errs = append(errs, validation.ValidateManagedFields(m.GetManagedFields(), path.Child("managedFields"))...)
	if !Full(errs) {
		return nil
	}
	return errs
}

// wrong returns entries that are wrong, more than MaxErrors of many, and nil when there
// are not as many.
func wrong(all map[string]string, bad func(map[string]string) bool) map[string]string {
	if len(all) <= MaxErrors {
		return nil
	}
	found := map[string]string{}
	for key, value := range all {
		if one := map[string]string{key: value}; bad(one) {
			maps.Copy(found, one)
		}
		if len(found) > MaxErrors {
			return found
		}
	}
	return nil
}

// trimmed is metadata with other labels or annotations, where they are not nil.
type trimmed struct {
	metav1.Object
	labels, annotations map[string]string
}

// GetLabels implements metav1.Object.
func (t trimmed) GetLabels() map[string]string {
	if t.labels != nil {
		return t.labels
	}
	return t.Object.GetLabels()
}

// GetAnnotations implements metav1.Object.
func (t trimmed) GetAnnotations() map[string]string {
	if t.annotations != nil {
		return t.annotations
	}
	return t.Object.GetAnnotations()
}
