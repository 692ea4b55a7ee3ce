// Package secret owns the Secret kind of core/v1: defaults, validation, table and
// storage. Encrypting secrets at rest lives in internal/encryption; filling
// service account token secrets lives in internal/controller.
package secret

import (
	"context"
	"crypto/tls"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes secrets.
func Definition() resource.Definition[*corev1.Secret] {
	return resource.Definition[*corev1.Secret]{
		GroupVersion: corev1.SchemeGroupVersion,
		Plural:       "secrets",
		Singular:     "secret",
		Namespaced:   true,
		New:          func() *corev1.Secret { return &corev1.Secret{} },
		NewList:      func() runtime.Object { return &corev1.SecretList{} },
		Default:      setDefaults,
		Rules:        rules(),
		Columns:      columns(),
		Fields:       func(s *corev1.Secret) fields.Set { return fields.Set{"type": string(s.Type)} },
		// Nodes watch each secret that their pods use by name.
		Indexed: map[string]func(*corev1.Secret) string{
			"metadata.name": func(s *corev1.Secret) string { return s.Name },
		},
	}
}

// setDefaults makes a decoded secret carry its type, and its stringData merged into
// data. Defaulting is the one step that every way of writing passes (create, update,
// all patch types), before ownership of fields is recorded.
func setDefaults(s *corev1.Secret) {
	if s.Type == "" {
		s.Type = corev1.SecretTypeOpaque
	}
	mergeStringData(s)
}

// mergeStringData moves the write-only stringData into data, over existing keys.
func mergeStringData(s *corev1.Secret) {
	if len(s.StringData) > 0 && s.Data == nil {
		s.Data = make(map[string][]byte, len(s.StringData))
	}
	for key, value := range s.StringData {
		s.Data[key] = []byte(value)
	}
	s.StringData = nil
}

func rules() resource.Rules[*corev1.Secret] {
	return resource.Rules[*corev1.Secret]{
		// An admission plugin may have set stringData after defaulting.
		PrepareCreate: func(_ context.Context, s *corev1.Secret) { mergeStringData(s) },
		PrepareUpdate: func(_ context.Context, s, old *corev1.Secret) {
			mergeStringData(s)
			if s.Type == "" {
				s.Type = old.Type
			}
		},
		Validate: func(_ context.Context, s *corev1.Secret) field.ErrorList { return validate(s) },
		ValidateUpdate: func(_ context.Context, s, old *corev1.Secret) field.ErrorList {
			return append(validateImmutable(s, old), validate(s)...)
		},
		WarnCreate: func(_ context.Context, s *corev1.Secret) []string { return warnings(s) },
		WarnUpdate: func(_ context.Context, s, _ *corev1.Secret) []string { return warnings(s) },
	}
}

// warnings tells about a TLS secret whose certificate and key do not belong
// together. The messages of crypto/tls name the problem, never the content.
func warnings(s *corev1.Secret) []string {
	if s.Type != corev1.SecretTypeTLS {
		return nil
	}
	if _, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey]); err != nil {
		return []string{err.Error()}
	}
	return nil
}

const immutableMessage = "field is immutable when `immutable` is set"

func validateImmutable(s, old *corev1.Secret) field.ErrorList {
	var errs field.ErrorList
	if s.Type != old.Type {
		errs = append(errs, field.Invalid(field.NewPath("type"), s.Type, "field is immutable"))
	}
	if old.Immutable == nil || !*old.Immutable {
		return errs
	}
	if s.Immutable == nil || !*s.Immutable {
		errs = append(errs, field.Forbidden(field.NewPath("immutable"), immutableMessage))
	}
	if !maps.EqualFunc(s.Data, old.Data, slices.Equal[[]byte]) {
		errs = append(errs, field.Forbidden(field.NewPath("data"), immutableMessage))
	}
	return errs
}

func columns() resource.Columns[*corev1.Secret] {
	doc := corev1.Secret{}.SwaggerDoc()
	return resource.Columns[*corev1.Secret]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Type", Type: "string", Description: doc["type"]},
			{Name: "Data", Type: "string", Description: doc["data"]},
			resource.AgeColumn(),
		},
		Row: func(s *corev1.Secret) []any {
			return []any{s.Name, string(s.Type), int64(len(s.Data)), resource.Age(s)}
		},
	}
}
