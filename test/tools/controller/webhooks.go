package main

import (
	"context"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	v1 "laterna.dev/laterna/test/tools/controller/v1"
)

// keepAnnotation is on shops that are not to be deleted.
const keepAnnotation = "shops.example.com/keep"

// defaults changes shops as they are written.
type defaults struct{}

// Default implements admission.Defaulter.
func (defaults) Default(_ context.Context, s *v1.Shop) error {
	if s.Spec.Replicas == nil {
		s.Spec.Replicas = new(int32(1))
	}
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	s.Labels["shops.example.com/menu"] = s.Spec.Menu
	return nil
}

// judge refuses shops.
type judge struct{ client client.Client }

// ValidateCreate implements admission.Validator. What it lists comes from the cache, by an
// index: a menu is of one shop.
func (j judge) ValidateCreate(ctx context.Context, s *v1.Shop) (admission.Warnings, error) {
	var with v1.ShopList
	if err := j.client.List(ctx, &with, client.InNamespace(s.Namespace), client.MatchingFields{menuIndex: s.Spec.Menu}); err != nil {
		return nil, err
	}
	var errs field.ErrorList
	if len(with.Items) > 0 {
		errs = append(errs, field.Duplicate(field.NewPath("spec", "menu"), s.Spec.Menu))
	}
	return warnings(s), invalid(s, append(errs, shouts(s)...))
}

// ValidateUpdate implements admission.Validator.
func (judge) ValidateUpdate(_ context.Context, before, s *v1.Shop) (admission.Warnings, error) {
	errs := shouts(s)
	if before.Spec.Menu != s.Spec.Menu {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "menu"), "a shop keeps its menu"))
	}
	return warnings(s), invalid(s, errs)
}

// ValidateDelete implements admission.Validator.
func (judge) ValidateDelete(_ context.Context, s *v1.Shop) (admission.Warnings, error) {
	if s.Annotations[keepAnnotation] == "" {
		return nil, nil
	}
	return nil, apierrors.NewForbidden(v1.GroupVersion.WithResource("shops").GroupResource(), s.Name, field.Forbidden(field.NewPath("metadata", "annotations").Key(keepAnnotation), "it is to be kept"))
}

func shouts(s *v1.Shop) (errs field.ErrorList) {
	if strings.HasSuffix(s.Spec.Greeting, "!") {
		errs = append(errs, field.Invalid(field.NewPath("spec", "greeting"), s.Spec.Greeting, "must not shout"))
	}
	return errs
}

func warnings(s *v1.Shop) admission.Warnings {
	if s.Spec.Replicas != nil && *s.Spec.Replicas > 3 {
		return admission.Warnings{"more than three of a shop are a chain"}
	}
	return nil
}

func invalid(s *v1.Shop, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(v1.GroupVersion.WithKind("Shop").GroupKind(), s.Name, errs)
}
