// Package check has the rules of single fields that more than one part of a pod spec
// needs, in the words of Kubernetes: what is required, what is one of a list, what names
// something, and what path a file in a volume may have. Rules of one part live with it,
// in the packages beside this one.
package check

import (
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ID requires an ID, where there is one, to pass check.
func ID(id *int64, check func(int64) []string, path *field.Path) field.ErrorList {
	if id == nil {
		return nil
	}
	return Messages(check(*id), *id, path)
}

// SubdomainIfSet is Subdomain for a field that may be left out.
func SubdomainIfSet(value *string, path *field.Path) field.ErrorList {
	if value == nil {
		return nil
	}
	return Subdomain(*value, path)
}

// Subdomain requires a DNS subdomain.
func Subdomain(value string, path *field.Path) field.ErrorList {
	return Messages(validation.IsDNS1123Subdomain(value), value, path)
}

// DNSLabel requires a DNS label.
func DNSLabel(value string, path *field.Path) field.ErrorList {
	return Messages(validation.IsDNS1123Label(value), value, path)
}

// QualifiedName requires a name with or without a domain before it.
func QualifiedName(value string, path *field.Path) field.ErrorList {
	return Messages(validation.IsQualifiedName(value), value, path)
}

// Messages makes an error of each message about value.
func Messages[T any](msgs []string, value T, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range msgs {
		errs = append(errs, field.Invalid(path, value, msg))
	}
	return errs
}

// OneOf requires value to be one of supported.
func OneOf[T ~string](path *field.Path, value T, supported ...T) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return SupportedIfSet(path, &value, supported...)
}

// SupportedIfSet requires value, where there is one, to be one of supported.
func SupportedIfSet[T ~string](path *field.Path, value *T, supported ...T) field.ErrorList {
	if value == nil {
		return nil
	}
	for _, s := range supported {
		if *value == s {
			return nil
		}
	}
	return field.ErrorList{field.NotSupported(path, *value, supported)}
}

// NonNegative requires zero or more.
func NonNegative(value int64, path *field.Path) field.ErrorList {
	return apivalidation.ValidateNonnegativeField(value, path)
}

// Required requires a text.
func Required(value string, path *field.Path) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return nil
}

// Referent requires the kind and the name of an object that is referred to. Each is a segment
// of a path.
func Referent(kind, name string, at *field.Path) (errs field.ErrorList) {
	for _, part := range []struct{ name, value string }{{"kind", kind}, {"name", name}} {
		errs = append(errs, Required(part.value, at.Child(part.name))...)
		if part.value != "" {
			errs = append(errs, Messages(content.IsPathSegmentName(part.value), part.value, at.Child(part.name))...)
		}
	}
	return errs
}

// RequiredList requires a list that has entries.
func RequiredList(length int, at *field.Path) field.ErrorList {
	if length == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	return nil
}
