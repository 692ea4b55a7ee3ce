package persistentvolume

import (
	corev1 "k8s.io/api/core/v1"
	volumehelper "k8s.io/component-helpers/storage/volume"

	"laterna.dev/laterna/internal/registry/core/persistentvolumeclaim"
	"laterna.dev/laterna/internal/registry/resource"
)

func columns() resource.Columns[*volume] {
	spec, status := corev1.PersistentVolumeSpec{}.SwaggerDoc(), corev1.PersistentVolumeStatus{}.SwaggerDoc()
	return resource.Columns[*volume]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Capacity", Type: "string", Description: spec["capacity"]},
			{Name: "Access Modes", Type: "string", Description: spec["accessModes"]},
			{Name: "Reclaim Policy", Type: "string", Description: spec["persistentVolumeReclaimPolicy"]},
			{Name: "Status", Type: "string", Description: status["phase"]},
			{Name: "Claim", Type: "string", Description: spec["claimRef"]},
			{Name: "StorageClass", Type: "string", Description: "StorageClass of the pv"},
			{Name: "VolumeAttributesClass", Type: "string", Description: "VolumeAttributesClass of the pv"},
			{Name: "Reason", Type: "string", Description: status["reason"]},
			resource.AgeColumn(),
			{Name: "VolumeMode", Type: "string", Priority: 1, Description: spec["volumeMode"]},
		},
		Row: row,
	}
}

const unset = "<unset>"

func row(v *volume) []any {
	phase := string(v.Status.Phase)
	if v.DeletionTimestamp != nil {
		phase = "Terminating"
	}
	claim := ""
	if ref := v.Spec.ClaimRef; ref != nil {
		claim = ref.Namespace + "/" + ref.Name
	}
	attributes, mode := unset, unset
	if v.Spec.VolumeAttributesClassName != nil {
		attributes = *v.Spec.VolumeAttributesClassName
	}
	if v.Spec.VolumeMode != nil {
		mode = string(*v.Spec.VolumeMode)
	}
	size := v.Spec.Capacity[corev1.ResourceStorage]
	return []any{v.Name, size.String(), persistentvolumeclaim.ShortModes(v.Spec.AccessModes), string(v.Spec.PersistentVolumeReclaimPolicy),
		phase, claim, volumehelper.GetPersistentVolumeClass(v), attributes, v.Status.Reason, resource.Age(v), mode}
}
