// Package kubeapiserver owns the KubeAPIServer kind of operator.openshift.io/v1:
// validation, table and storage.
//
// The types live in api/operator/v1. The status is written by
// internal/controller/tokenissuer and followed by every server, which takes the
// issuers over, and by every agent, which replaces the tokens of its pods.
package kubeapiserver

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/tokens/issuer"
)

type object = operatorv1.KubeAPIServer

// Definition describes kubeapiservers and their status.
func Definition() resource.Definition[*object] {
	return resource.Definition[*object]{
		GroupVersion: operatorv1.SchemeGroupVersion,
		Plural:       "kubeapiservers",
		Singular:     "kubeapiserver",
		New:          func() *object { return &object{} },
		NewList:      func() runtime.Object { return &operatorv1.KubeAPIServerList{} },
		Rules: resource.Rules[*object]{
			ValidName:      resource.Only(operatorv1.Name),
			PrepareCreate:  func(_ context.Context, k *object) { k.Status, k.Generation = operatorv1.KubeAPIServerStatus{}, 1 },
			PrepareUpdate:  func(_ context.Context, k, old *object) { keepStatus(k, old) },
			Validate:       func(_ context.Context, k *object) field.ErrorList { return validate(k) },
			ValidateUpdate: func(_ context.Context, k, _ *object) field.ErrorList { return validate(k) },
			Reset:          []string{"status"},
		},
		Status: &resource.Rules[*object]{
			PrepareUpdate:  func(_ context.Context, k, old *object) { k.Spec, k.Generation = old.Spec, old.Generation },
			ValidateUpdate: func(_ context.Context, k, _ *object) field.ErrorList { return validateStatus(&k.Status) },
			Reset:          []string{"spec"},
		},
		Columns: columns(),
	}
}

func keepStatus(k, old *object) {
	k.Status, k.Generation = old.Status, old.Generation
	if k.Spec != old.Spec {
		k.Generation++
	}
}

func validate(k *object) field.ErrorList {
	if s := k.Spec.ManagementState; s != "" && s != "Managed" {
		return field.ErrorList{field.NotSupported(field.NewPath("spec", "managementState"), s, []string{"", "Managed"})}
	}
	return nil
}

func validateStatus(s *operatorv1.KubeAPIServerStatus) field.ErrorList {
	var errs field.ErrorList
	status := field.NewPath("status")
	for i, known := range s.ServiceAccountIssuers {
		at := status.Child("serviceAccountIssuers").Index(i).Child("name")
		if err := issuer.Validate([]string{known.Name}); err != nil {
			errs = append(errs, field.Invalid(at, known.Name, err.Error()))
		}
	}
	for i, c := range s.Conditions {
		if !slices.Contains([]string{"True", "False", "Unknown"}, c.Status) {
			errs = append(errs, field.NotSupported(status.Child("conditions").Index(i).Child("status"), c.Status, []string{"True", "False", "Unknown"}))
		}
	}
	return errs
}

func columns() resource.Columns[*object] {
	return resource.Columns[*object]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Revision", Type: "integer", Description: "Grows with every change of the issuer or of the signing key."},
			{Name: "Progressing", Type: "string", Description: "Whether nodes have still to replace tokens."},
			{Name: "Issuer", Type: "string", Description: "The issuer of new tokens."},
			resource.AgeColumn(),
			{Name: "Nodes", Type: "string", Priority: 1, Description: "Which revision the tokens of the nodes' pods are of."},
		},
		Row: func(k *object) []any {
			progressing, nodes := progress(k)
			return []any{k.Name, k.Status.LatestAvailableRevision, progressing, k.Status.ActiveIssuer(), resource.Age(k), nodes}
		},
	}
}

func progress(k *object) (status, message string) {
	for _, c := range k.Status.Conditions {
		if c.Type == operatorv1.NodeInstallerProgressing {
			return c.Status, c.Message
		}
	}
	return "Unknown", ""
}
