// Package persistentvolume owns the PersistentVolume kind of core/v1: defaults,
// validation, table and storage with the status subresource. Nothing binds or mounts
// volumes here: objects are stored for what is installed. Claims live in
// internal/registry/core/persistentvolumeclaim.
package persistentvolume

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
	"laterna.dev/laterna/internal/registry/resource"
)

type volume = corev1.PersistentVolume

// Unserved is what is said of every volume that is made.
const Unserved = "spec: nothing binds or mounts persistent volumes in Laterna: the object is only stored, and pods that mount it by a claim wait, unless something else serves it"

// Definition describes volumes. wall stamps changes of their phase.
func Definition(wall clock.Wall) resource.Definition[*volume] {
	halves := resource.Halves[*volume, corev1.PersistentVolumeSpec, corev1.PersistentVolumeStatus]{
		Spec:      func(v *volume) *corev1.PersistentVolumeSpec { return &v.Spec },
		Status:    func(v *volume) *corev1.PersistentVolumeStatus { return &v.Status },
		Uncounted: true,
	}
	rules := halves.Main(validate, validateChange)
	rules.PrepareCreate = func(_ context.Context, v *volume) {
		v.Status = corev1.PersistentVolumeStatus{Phase: corev1.VolumePending, LastPhaseTransitionTime: new(metav1.NewTime(wall.Now()))}
	}
	rules.WarnCreate = resource.OnlyStored[*volume](Unserved)
	status := halves.Sub(validateStatus)
	spec := status.PrepareUpdate
	status.PrepareUpdate = func(ctx context.Context, v, old *volume) {
		spec(ctx, v, old)
		now, was := &v.Status, &old.Status
		if now.Phase != was.Phase && (now.LastPhaseTransitionTime == nil || now.LastPhaseTransitionTime.Equal(was.LastPhaseTransitionTime)) {
			now.LastPhaseTransitionTime = new(metav1.NewTime(wall.Now()))
		}
	}
	return resource.Definition[*volume]{
		GroupVersion:  corev1.SchemeGroupVersion,
		Plural:        "persistentvolumes",
		Singular:      "persistentvolume",
		ShortNames:    []string{"pv"},
		New:           func() *volume { return &volume{} },
		NewList:       func() runtime.Object { return &corev1.PersistentVolumeList{} },
		Default:       setDefaults,
		Rules:         rules,
		Status:        status,
		Columns:       columns(),
		Fields:        func(v *volume) fields.Set { return fields.Set{"name": v.Name} },
		ReturnDeleted: true,
	}
}

func setDefaults(v *volume) {
	if v.Status.Phase == "" {
		v.Status.Phase = corev1.VolumePending
	}
	s := &v.Spec
	if s.PersistentVolumeReclaimPolicy == "" {
		s.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	}
	if s.VolumeMode == nil {
		s.VolumeMode = new(corev1.PersistentVolumeFilesystem)
	}
	// What a volume shares with those of pods has the same defaults.
	volumes.Default(&corev1.Volume{VolumeSource: corev1.VolumeSource{HostPath: s.HostPath, AzureDisk: s.AzureDisk}})
	given := func(text *string, value string) {
		if *text == "" {
			*text = value
		}
	}
	if s.ISCSI != nil {
		given(&s.ISCSI.ISCSIInterface, "default")
	}
	if s.RBD != nil {
		given(&s.RBD.RBDPool, "rbd")
		given(&s.RBD.RadosUser, "admin")
		given(&s.RBD.Keyring, "/etc/ceph/keyring")
	}
	if s.ScaleIO != nil {
		given(&s.ScaleIO.StorageMode, "ThinProvisioned")
		given(&s.ScaleIO.FSType, "xfs")
	}
}

func validateStatus(v, _ *volume) field.ErrorList {
	if v.ResourceVersion == "" {
		return field.ErrorList{field.Required(field.NewPath("resourceVersion"), "")}
	}
	return nil
}
