// Package template holds what the kinds whose pods are to run for ever say alike of their
// pod templates: that the selector of pods matches them, that their pods never end by
// themselves, what tables show of them.
//
// What is wrong with a template wherever it stands is said by podspec; rules that one kind
// has alone live in the package of the kind.
package template

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/resource"
)

// Of says of which kind a template is in messages.
type Of struct {
	// Selects is the kind in what is said of its selector, such as "deployment".
	Selects string
	// Runs is the kind in what is said of its pods, such as "ReplicaSet".
	Runs string
}

// Validate returns what is wrong with the selector and the template of a spec, which
// stand at path. Both must be as they are after defaults.
func (o Of) Validate(selector *metav1.LabelSelector, t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	at := path.Child("selector")
	var errs field.ErrorList
	if selector == nil {
		errs = append(errs, field.Required(at, ""))
	} else {
		errs = append(errs, o.ValidateSelector(selector, at)...)
	}
	matches, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return append(errs, field.Invalid(at, selector, "invalid label selector"))
	}
	return append(errs, o.ValidateMatched(matches, t, path.Child("template"))...)
}

// ValidateSelector returns what is wrong with a selector at path, which must select
// something.
func (o Of) ValidateSelector(selector *metav1.LabelSelector, path *field.Path) field.ErrorList {
	errs := metavalidation.ValidateLabelSelector(selector, metavalidation.LabelSelectorValidationOptions{}, path)
	if selector != nil && len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(path, selector, "empty selector is invalid for "+o.Selects))
	}
	return errs
}

// ValidateMatched returns what is wrong with a template at path whose pods a selector is
// to match. A selector that is empty demands nothing.
func (o Of) ValidateMatched(selector labels.Selector, t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if !selector.Empty() {
		errs = append(errs, ValidateMatch(selector, t, path)...)
	}
	errs = append(errs, podspec.ValidateTemplate(t, path)...)
	return append(errs, o.ValidateLasting(&t.Spec, path.Child("spec"))...)
}

// ValidateMatch requires a selector to match the labels of a template at path.
func ValidateMatch(selector labels.Selector, t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	if selector.Matches(labels.Set(t.Labels)) {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Child("metadata", "labels"), t.Labels, "`selector` does not match template `labels`")}
}

// ValidateLasting requires the pods of a spec at path to run until they are deleted.
func (o Of) ValidateLasting(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p := spec.RestartPolicy; p != corev1.RestartPolicyAlways {
		errs = append(errs, field.NotSupported(path.Child("restartPolicy"), p, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	if spec.ActiveDeadlineSeconds != nil {
		errs = append(errs, field.Forbidden(path.Child("activeDeadlineSeconds"), "activeDeadlineSeconds in "+o.Runs+" is not Supported"))
	}
	return errs
}

// NameWarnings warns of a name that is none for the hosts that pods are: their names
// begin with it.
func NameWarnings(name string) []string {
	msgs := validation.IsDNS1123Label(name)
	if len(msgs) == 0 {
		return nil
	}
	return []string{"metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [" + strings.Join(msgs, " ") + "]"}
}

// Warnings returns what podspec warns of in the template of a spec.
func Warnings(t *corev1.PodTemplateSpec) []string {
	return podspec.Warnings(&t.ObjectMeta, &t.Spec, field.NewPath("spec", "template"))
}

// WideColumns are the last columns of a table with -o wide; selector describes the field
// that the last of them shows. See WideCells.
func WideColumns(selector string) []resource.Column {
	return []resource.Column{
		{Name: "Containers", Type: "string", Priority: 1, Description: "Names of each container in the template."},
		{Name: "Images", Type: "string", Priority: 1, Description: "Images referenced by each container in the template."},
		{Name: "Selector", Type: "string", Priority: 1, Description: selector},
	}
}

// WideCells are the cells of WideColumns.
func WideCells(t *corev1.PodTemplateSpec, selector string) []any {
	names, images := podspec.Containers(&t.Spec)
	return []any{names, images, selector}
}
