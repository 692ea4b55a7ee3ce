// Package persistentvolumeclaim owns the PersistentVolumeClaim kind of core/v1: defaults,
// validation, table and storage with the status subresource. Nothing provisions volumes
// here: a claim waits until somebody else serves it, and so do the pods that use it
// (internal/podfields). Claims of StatefulSets are made by internal/controller/statefulset.
package persistentvolumeclaim

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	volumehelper "k8s.io/component-helpers/storage/volume"

	"laterna.dev/laterna/internal/registry/resource"
)

// Unserved is what is said of every claim that is made.
const Unserved = "spec: nothing provisions volumes in Laterna: the claim stays Pending, and pods that mount it wait, unless something else binds it"

// Definition describes claims.
func Definition() resource.Definition[*corev1.PersistentVolumeClaim] {
	return resource.Definition[*corev1.PersistentVolumeClaim]{
		GroupVersion: corev1.SchemeGroupVersion,
		Plural:       "persistentvolumeclaims",
		Singular:     "persistentvolumeclaim",
		ShortNames:   []string{"pvc"},
		Namespaced:   true,
		New:          func() *corev1.PersistentVolumeClaim { return &corev1.PersistentVolumeClaim{} },
		NewList:      func() runtime.Object { return &corev1.PersistentVolumeClaimList{} },
		Default:      SetDefaults,
		Rules: resource.Rules[*corev1.PersistentVolumeClaim]{
			PrepareCreate: func(_ context.Context, c *corev1.PersistentVolumeClaim) {
				c.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}
				dataSources(&c.Spec)
			},
			PrepareUpdate: func(_ context.Context, c, old *corev1.PersistentVolumeClaim) {
				c.Status = old.Status
				dataSources(&c.Spec)
			},
			Validate: func(_ context.Context, c *corev1.PersistentVolumeClaim) field.ErrorList {
				return ValidateSpec(&c.Spec, field.NewPath("spec"))
			},
			ValidateUpdate: func(_ context.Context, c, old *corev1.PersistentVolumeClaim) field.ErrorList {
				return validateUpdate(c, old)
			},
			WarnCreate: func(context.Context, *corev1.PersistentVolumeClaim) []string { return []string{Unserved} },
			Reset:      []string{"status"},
		},
		Status: &resource.Rules[*corev1.PersistentVolumeClaim]{
			PrepareUpdate:  func(_ context.Context, c, old *corev1.PersistentVolumeClaim) { c.Spec = old.Spec },
			ValidateUpdate: func(_ context.Context, c, _ *corev1.PersistentVolumeClaim) field.ErrorList { return validateStatus(c) },
			Reset:          []string{"spec"},
		},
		Columns:       columns(),
		Fields:        func(c *corev1.PersistentVolumeClaim) fields.Set { return fields.Set{"name": c.Name} },
		ReturnDeleted: true,
	}
}

// SetDefaults fills in what a claim may leave out.
func SetDefaults(c *corev1.PersistentVolumeClaim) {
	if c.Status.Phase == "" {
		c.Status.Phase = corev1.ClaimPending
	}
	if c.Spec.VolumeMode == nil {
		c.Spec.VolumeMode = new(corev1.PersistentVolumeFilesystem)
	}
}

// dataSources lets the two fields that say what a volume is filled with follow each
// other, where only one is given and both can say it.
func dataSources(s *corev1.PersistentVolumeClaimSpec) {
	switch from, ref := s.DataSource, s.DataSourceRef; {
	case from != nil && ref == nil:
		s.DataSourceRef = &corev1.TypedObjectReference{APIGroup: from.APIGroup, Kind: from.Kind, Name: from.Name}
	case from == nil && ref != nil && (ref.Namespace == nil || *ref.Namespace == ""):
		s.DataSource = &corev1.TypedLocalObjectReference{APIGroup: ref.APIGroup, Kind: ref.Kind, Name: ref.Name}
	}
}

func columns() resource.Columns[*corev1.PersistentVolumeClaim] {
	spec, status := corev1.PersistentVolumeClaimSpec{}.SwaggerDoc(), corev1.PersistentVolumeClaimStatus{}.SwaggerDoc()
	return resource.Columns[*corev1.PersistentVolumeClaim]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Status", Type: "string", Description: status["phase"]},
			{Name: "Volume", Type: "string", Description: spec["volumeName"]},
			{Name: "Capacity", Type: "string", Description: status["capacity"]},
			{Name: "Access Modes", Type: "string", Description: status["accessModes"]},
			{Name: "StorageClass", Type: "string", Description: "StorageClass of the pvc"},
			{Name: "VolumeAttributesClass", Type: "string", Description: "VolumeAttributesClass of the pvc"},
			resource.AgeColumn(),
			{Name: "VolumeMode", Type: "string", Priority: 1, Description: spec["volumeMode"]},
		},
		Row: row,
	}
}

const unset = "<unset>"

func row(c *corev1.PersistentVolumeClaim) []any {
	phase := string(c.Status.Phase)
	if c.DeletionTimestamp != nil {
		phase = "Terminating"
	}
	capacity, modes := "", ""
	if c.Spec.VolumeName != "" {
		modes = ShortModes(c.Status.AccessModes)
		storage := c.Status.Capacity[corev1.ResourceStorage]
		capacity = storage.String()
	}
	attributes, mode := unset, unset
	if c.Spec.VolumeAttributesClassName != nil {
		attributes = *c.Spec.VolumeAttributesClassName
	}
	if c.Spec.VolumeMode != nil {
		mode = string(*c.Spec.VolumeMode)
	}
	return []any{c.Name, phase, c.Spec.VolumeName, capacity, modes, volumehelper.GetPersistentVolumeClaimClass(c), attributes, resource.Age(c), mode}
}

// ShortModes writes access modes as "RWO,ROX".
func ShortModes(all []corev1.PersistentVolumeAccessMode) string {
	var short []string
	for _, m := range []struct {
		mode  corev1.PersistentVolumeAccessMode
		short string
	}{
		{corev1.ReadWriteOnce, "RWO"}, {corev1.ReadOnlyMany, "ROX"}, {corev1.ReadWriteMany, "RWX"}, {corev1.ReadWriteOncePod, "RWOP"},
	} {
		for _, has := range all {
			if has == m.mode {
				short = append(short, m.short)
				break
			}
		}
	}
	return strings.Join(short, ",")
}
