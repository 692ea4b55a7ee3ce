package apiextensions

import (
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/bounds"
)

// fewElements is how many elements a part of an object has at most that is checked at once.
const fewElements = 50

// shape is a schema whose parts are asked one by one: the library compares each fault that
// it finds in an object with all others.
type shape struct {
	schema     apiextensions.JSONSchemaProps
	properties map[string]*shape
	validator  validation.SchemaValidator
}

// parts of a schema that have no names of their own in it.
const anyItem, anyProperty = "[]", "{}"

// part returns the schema of a property, of anyItem or anyProperty; nil where it says
// nothing of them.
func (s *shape) part(name string) *shape {
	if known, ok := s.properties[name]; ok {
		return known
	}
	var found *apiextensions.JSONSchemaProps
	property, named := s.schema.Properties[name]
	switch {
	case name == anyItem:
		if s.schema.Items != nil {
			found = s.schema.Items.Schema
		}
	case name == anyProperty:
		if s.schema.AdditionalProperties != nil {
			found = s.schema.AdditionalProperties.Schema
		}
	case named:
		found = &property
	default:
		return s.part(anyProperty)
	}
	var made *shape
	if found != nil {
		made = &shape{schema: *found}
	}
	if s.properties == nil {
		s.properties = map[string]*shape{}
	}
	s.properties[name] = made
	return made
}

// faultsIn adds the faults of a value at path to errs, part by part, until there are more
// than can be listed.
func (s *shape) faultsIn(path *field.Path, value any, errs field.ErrorList) (field.ErrorList, error) {
	if s == nil || bounds.Full(errs) {
		return errs, nil
	}
	if elements(value, fewElements) < fewElements {
		return s.check(path, value, errs)
	}
	var err error
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			if errs, err = s.part(name).faultsIn(path.Child(name), inner, errs); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, inner := range v {
			if errs, err = s.part(anyItem).faultsIn(path.Index(i), inner, errs); err != nil {
				return nil, err
			}
		}
	}
	return errs, nil
}

// check adds the faults of a small value.
func (s *shape) check(path *field.Path, value any, errs field.ErrorList) (field.ErrorList, error) {
	if s.validator == nil {
		var err error
		if s.validator, _, err = validation.NewSchemaValidator(&s.schema); err != nil {
			return nil, err
		}
	}
	return append(errs, validation.ValidateCustomResource(path, value, s.validator)...), nil
}

// elements counts what is in a value, up to most.
func elements(value any, most int) (n int) {
	switch v := value.(type) {
	case map[string]any:
		for _, inner := range v {
			if n += 1 + elements(inner, most-n); n >= most {
				break
			}
		}
	case []any:
		for _, inner := range v {
			if n += 1 + elements(inner, most-n); n >= most {
				break
			}
		}
	}
	return n
}
