package devices

import (
	"encoding/json"
	"fmt"
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// each checks the entries of a list that has at most so many.
func each[T any](list []T, most int, at *field.Path, validate func(*T, *field.Path) field.ErrorList) (errs field.ErrorList) {
	if len(list) > most {
		return field.ErrorList{field.TooMany(at, len(list), most)}
	}
	for i := range list {
		errs = append(errs, validate(&list[i], at.Index(i))...)
	}
	return errs
}

// distinct is each of entries that are known by a key.
func distinct[T any](list []T, most int, at *field.Path, key func(*T) string, validate func(*T, *field.Path) field.ErrorList) field.ErrorList {
	errs := each(list, most, at, validate)
	if len(list) > most {
		return errs
	}
	seen := map[string]bool{}
	for i := range list {
		k := key(&list[i])
		if seen[k] {
			errs = append(errs, field.Duplicate(at.Index(i), k))
		}
		seen[k] = true
	}
	return errs
}

// itself is the key of names.
func itself(name *string) string { return *name }

func validateDriver(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	if len(name) > resourcev1.DriverNameMaxLength {
		errs = append(errs, field.TooLong(at, name, resourcev1.DriverNameMaxLength))
	}
	return append(errs, check.Messages(validation.IsDNS1123Subdomain(strings.ToLower(name)), name, at)...)
}

func validatePool(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	if len(name) > resourcev1.PoolNameMaxLength {
		errs = append(errs, field.TooLong(at, "", resourcev1.PoolNameMaxLength))
	}
	for part := range strings.SplitSeq(name, "/") {
		errs = append(errs, check.Subdomain(part, at)...)
	}
	return errs
}

// validateName checks the name of an attribute or of a capacity.
func validateName(name string, at *field.Path) (errs field.ErrorList) {
	domain, id, qualified := strings.Cut(name, "/")
	if !qualified {
		return validateID(name, at)
	}
	if domain == "" {
		errs = append(errs, field.Invalid(at, "", "the domain must not be empty"))
	} else {
		errs = append(errs, validateDriver(domain, at)...)
	}
	if id == "" {
		return append(errs, field.Invalid(at, "", "the name must not be empty"))
	}
	return append(errs, validateID(id, at)...)
}

func validateID(id string, at *field.Path) (errs field.ErrorList) {
	if len(id) > resourcev1.DeviceMaxIDLength {
		errs = append(errs, field.TooLong(at, "", resourcev1.DeviceMaxIDLength))
	}
	return append(errs, check.Messages(content.IsCIdentifier(id), id, at)...)
}

func validateFullName(name resourcev1.FullyQualifiedName, at *field.Path) field.ErrorList {
	errs := validateName(string(name), at)
	if !strings.Contains(string(name), "/") {
		errs = append(errs, field.Invalid(at, name, "a fully qualified name must be a domain and a name separated by a slash"))
	}
	return errs
}

func validateSelectors(all []resourcev1.DeviceSelector, at *field.Path) field.ErrorList {
	return each(all, resourcev1.DeviceSelectorsMaxSize, at, func(s *resourcev1.DeviceSelector, at *field.Path) field.ErrorList {
		if s.CEL == nil {
			return field.ErrorList{field.Required(at.Child("cel"), "")}
		}
		if len(s.CEL.Expression) > resourcev1.CELSelectorExpressionMaxLength {
			return field.ErrorList{field.TooLong(at.Child("cel", "expression"), "", resourcev1.CELSelectorExpressionMaxLength)}
		}
		return check.Required(s.CEL.Expression, at.Child("cel", "expression"))
	})
}

func validateConfig(c *resourcev1.DeviceConfiguration, at *field.Path) field.ErrorList {
	opaque := at.Child("opaque")
	if c.Opaque == nil {
		return field.ErrorList{field.Required(opaque, "")}
	}
	errs := validateDriver(c.Opaque.Driver, opaque.Child("driver"))
	return append(errs, validateRaw(&c.Opaque.Parameters, resourcev1.OpaqueParametersMaxLength, opaque.Child("parameters"))...)
}

// validateRaw wants an object of JSON that is not too long.
func validateRaw(raw *runtime.RawExtension, most int, at *field.Path) field.ErrorList {
	if len(raw.Raw) > most {
		return field.ErrorList{field.TooLong(at, "", most)}
	}
	var v any
	if len(raw.Raw) > 0 {
		if err := json.Unmarshal(raw.Raw, &v); err != nil {
			return field.ErrorList{field.Invalid(at, "<value omitted>", fmt.Sprintf("error parsing data as JSON: %v", err))}
		}
	}
	if v == nil {
		return field.ErrorList{field.Required(at, "")}
	}
	if _, ok := v.(map[string]any); !ok {
		return field.ErrorList{field.Invalid(at, "<value omitted>", "must be a valid JSON object")}
	}
	return nil
}

var effects = []resourcev1.DeviceTaintEffect{resourcev1.DeviceTaintEffectNoExecute, resourcev1.DeviceTaintEffectNoSchedule, resourcev1.DeviceTaintEffectNone}

func validateTaint(t *resourcev1.DeviceTaint, at *field.Path) field.ErrorList {
	errs := metavalidation.ValidateLabelName(t.Key, at.Child("key"))
	errs = append(errs, check.Messages(validation.IsValidLabelValue(t.Value), t.Value, at.Child("value"))...)
	return append(errs, check.OneOf(at.Child("effect"), t.Effect, effects...)...)
}

func validateToleration(t *resourcev1.DeviceToleration, at *field.Path) (errs field.ErrorList) {
	if t.Key != "" {
		errs = append(errs, metavalidation.ValidateLabelName(t.Key, at.Child("key"))...)
	}
	switch t.Operator {
	case resourcev1.DeviceTolerationOpExists:
		if t.Value != "" {
			errs = append(errs, field.Invalid(at.Child("value"), t.Value, "must be empty for operator `Exists`"))
		}
	case resourcev1.DeviceTolerationOpEqual:
		errs = append(errs, check.Messages(validation.IsValidLabelValue(t.Value), t.Value, at.Child("value"))...)
	default:
		errs = append(errs, check.OneOf(at.Child("operator"), t.Operator, resourcev1.DeviceTolerationOpEqual, resourcev1.DeviceTolerationOpExists)...)
	}
	if t.Effect != "" {
		errs = append(errs, check.OneOf(at.Child("effect"), t.Effect, effects...)...)
	}
	return errs
}
