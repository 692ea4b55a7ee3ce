package signingkey

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/api/identity/v1alpha1"
	"laterna.dev/laterna/internal/tokens/keys"
)

var activations = []v1alpha1.Activation{v1alpha1.Immediate, v1alpha1.Scheduled}

// keyTypes are the supported values of spec.type.
func keyTypes() []v1alpha1.KeyType {
	var out []v1alpha1.KeyType
	for _, t := range keys.Types() {
		out = append(out, v1alpha1.KeyType(t))
	}
	return out
}

// validate checks a wish for a key.
func validate(m *metav1.ObjectMeta, s *v1alpha1.SigningKeySpec) field.ErrorList {
	var errs field.ErrorList
	if m.Name != "" {
		errs = append(errs, field.Forbidden(field.NewPath("metadata", "name"), "the server names a key after its digest"))
	}
	if m.GenerateName != "" {
		errs = append(errs, field.Forbidden(field.NewPath("metadata", "generateName"), "the server names a key after its digest"))
	}
	at := field.NewPath("spec")
	if all := keyTypes(); s.Type != "" && !slices.Contains(all, s.Type) {
		errs = append(errs, field.NotSupported(at.Child("type"), s.Type, all))
	}
	if !slices.Contains(activations, s.Activation) {
		errs = append(errs, field.NotSupported(at.Child("activation"), s.Activation, activations))
	}
	return errs
}
