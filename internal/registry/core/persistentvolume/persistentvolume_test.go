package persistentvolume

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
)

// of is a good volume, changed.
func of(change func(*corev1.PersistentVolumeSpec)) *volume {
	v := &volume{Spec: corev1.PersistentVolumeSpec{
		Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
		AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "d.example.com", VolumeHandle: "h"}},
	}}
	if change != nil {
		change(&v.Spec)
	}
	setDefaults(v)
	return v
}

func source(s corev1.PersistentVolumeSource) func(*corev1.PersistentVolumeSpec) {
	return func(v *corev1.PersistentVolumeSpec) { v.PersistentVolumeSource = s }
}

func TestVolumesThatAreRefused(t *testing.T) {
	local, host := &corev1.LocalVolumeSource{Path: "/d"}, &corev1.HostPathVolumeSource{Path: "/"}
	for name, tc := range map[string]struct {
		change func(*corev1.PersistentVolumeSpec)
		want   string
	}{
		"good":        {nil, "<nil>"},
		"of pods":     {source(corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "s", Path: "/"}}), "<nil>"},
		"no modes":    {func(s *corev1.PersistentVolumeSpec) { s.AccessModes = nil }, "spec.accessModes: Required value"},
		"no capacity": {func(s *corev1.PersistentVolumeSpec) { s.Capacity = nil }, "spec.capacity: Required value"},
		"capacity":    {func(s *corev1.PersistentVolumeSpec) { s.Capacity["cpu"] = resource.MustParse("1") }, `spec.capacity: Unsupported value`},
		"no room":     {func(s *corev1.PersistentVolumeSpec) { s.Capacity["storage"] = resource.Quantity{} }, `spec.capacity[storage]: Invalid value: "0": must be greater than zero`},
		"policy":      {func(s *corev1.PersistentVolumeSpec) { s.PersistentVolumeReclaimPolicy = "x" }, `spec.persistentVolumeReclaimPolicy: Unsupported value: "x": supported values: "Delete", "Recycle", "Retain"`},
		"no source":   {source(corev1.PersistentVolumeSource{}), "spec: Required value: must specify a volume type"},
		"two sources": {func(s *corev1.PersistentVolumeSpec) { s.HostPath = host }, "spec.csi: Forbidden: may not specify more than 1 volume type"},
		"host path":   {source(corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "a/.."}}), "spec.hostPath.path: Invalid value: \"a/..\": must not contain '..'"},
		"monitors":    {source(corev1.PersistentVolumeSource{RBD: &corev1.RBDPersistentVolumeSource{}}), "spec.rbd.monitors: Required value"},
		"everything":  {source(corev1.PersistentVolumeSource{ISCSI: &corev1.ISCSIPersistentVolumeSource{}, Glusterfs: &corev1.GlusterfsPersistentVolumeSource{}}), "spec.glusterfs: Forbidden: may not specify more"},
		"local":       {source(corev1.PersistentVolumeSource{Local: local}), "spec.nodeAffinity: Required value: Local volume requires node affinity"},
		"no driver":   {source(corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{}}), "[spec.csi.driver: Required value, spec.csi.volumeHandle: Required value]"},
		"secret":      {func(s *corev1.PersistentVolumeSpec) { s.CSI.NodePublishSecretRef = &corev1.SecretReference{Name: "A"} }, "spec.csi.nodePublishSecretRef.name: Invalid value: \"A\""},
		"no affinity": {func(s *corev1.PersistentVolumeSpec) { s.NodeAffinity = &corev1.VolumeNodeAffinity{} }, "spec.nodeAffinity.required: Required value: must specify required node constraints"},
		"affinity": {func(s *corev1.PersistentVolumeSpec) {
			s.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{}}
		}, "spec.nodeAffinity.required.nodeSelectorTerms: Required value: must have at least one node selector term"},
		"class":        {func(s *corev1.PersistentVolumeSpec) { s.StorageClassName = "A" }, "spec.storageClassName: Invalid value"},
		"mode":         {func(s *corev1.PersistentVolumeSpec) { s.VolumeMode = new(corev1.PersistentVolumeMode("x")) }, "spec.volumeMode: Unsupported value"},
		"no attribute": {func(s *corev1.PersistentVolumeSpec) { s.VolumeAttributesClassName = new("") }, "spec.volumeAttributesClassName: Required value: an empty string is disallowed"},
		"recycled": {func(s *corev1.PersistentVolumeSpec) {
			s.PersistentVolumeSource, s.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeSource{HostPath: host}, corev1.PersistentVolumeReclaimRecycle
		}, "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"},
	} {
		if got := fmt.Sprint(validate(of(tc.change)).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestVolumesOfAttachments(t *testing.T) {
	inline := of(func(s *corev1.PersistentVolumeSpec) { s.Capacity = nil }).Spec
	if errs := ValidateInline(&inline, nil); len(errs) > 0 {
		t.Errorf("a good one: %v", errs)
	}
	all := of(func(s *corev1.PersistentVolumeSpec) {
		s.ClaimRef, s.NodeAffinity, s.StorageClassName = &corev1.ObjectReference{}, &corev1.VolumeNodeAffinity{}, "c"
		s.PersistentVolumeReclaimPolicy, s.VolumeMode = corev1.PersistentVolumeReclaimDelete, new(corev1.PersistentVolumeBlock)
		s.CSI, s.HostPath = nil, &corev1.HostPathVolumeSource{Path: "/a"}
	}).Spec
	got := fmt.Sprint(ValidateInline(&all, nil))
	for _, want := range []string{"claimRef: Forbidden: may not be specified in the context", "capacity: Forbidden", "csi: Required value: has to be specified in the context of inline volumes",
		"persistentVolumeReclaimPolicy: Forbidden: may only be Retain in the context", "nodeAffinity: Forbidden", "storageClassName: Forbidden", "may not specify volumeMode other than Filesystem in the context"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
}

func TestWhatOfAVolumeMayChange(t *testing.T) {
	secret := func(s *corev1.PersistentVolumeSpec) {
		s.CSI.ControllerExpandSecretRef = &corev1.SecretReference{Name: "a", Namespace: "b"}
	}
	attributes := func(s *corev1.PersistentVolumeSpec) { s.VolumeAttributesClassName = new("a") }
	for name, tc := range map[string]struct {
		now, old *volume
		want     string
	}{
		"nothing":    {of(nil), of(nil), "<nil>"},
		"secret":     {of(secret), of(nil), "<nil>"},
		"no secret":  {of(nil), of(secret), "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"},
		"handle":     {of(func(s *corev1.PersistentVolumeSpec) { s.CSI.VolumeHandle = "x" }), of(nil), "spec.persistentvolumesource: Forbidden"},
		"mode":       {of(func(s *corev1.PersistentVolumeSpec) { s.VolumeMode = new(corev1.PersistentVolumeBlock) }), of(nil), "volumeMode: Invalid value: \"Block\": field is immutable"},
		"attributes": {of(nil), of(attributes), "spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden"},
		"class":      {of(func(s *corev1.PersistentVolumeSpec) { s.StorageClassName = "other" }), of(nil), "<nil>"},
	} {
		if got := fmt.Sprint(validateChange(tc.now, tc.old).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestPhasesAreStamped(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	d := Definition(clock.WallOf(clocktesting.NewFakeClock(at)))
	v := of(nil)
	v.Status.Phase = corev1.VolumeBound
	d.Rules.PrepareCreate(t.Context(), v)
	if v.Status.Phase != corev1.VolumePending || !v.Status.LastPhaseTransitionTime.Time.Equal(at) {
		t.Errorf("made with %+v", v.Status)
	}
	old := of(nil)
	old.Status.LastPhaseTransitionTime = nil
	for phase, stamped := range map[corev1.PersistentVolumePhase]bool{corev1.VolumePending: false, corev1.VolumeBound: true} {
		now := old.DeepCopy()
		now.Status.Phase, now.Spec.StorageClassName = phase, "other"
		d.Status.PrepareUpdate(t.Context(), now, old)
		if (now.Status.LastPhaseTransitionTime != nil) != stamped || now.Spec.StorageClassName != "" {
			t.Errorf("%s: %+v", phase, now.Status)
		}
	}
}

func TestRowsOfVolumes(t *testing.T) {
	v := of(nil)
	v.Name, v.Spec.ClaimRef, v.Spec.StorageClassName = "v", &corev1.ObjectReference{Namespace: "n", Name: "c"}, "fast"
	if got, want := fmt.Sprint(row(v)), "[v 1Gi RWO Retain Pending n/c fast <unset>  <unknown> Filesystem]"; got != want || len(row(v)) != len(columns().Columns) {
		t.Errorf("row %s, want %s", got, want)
	}
}

func TestDefaultsOfSources(t *testing.T) {
	v := of(source(corev1.PersistentVolumeSource{RBD: &corev1.RBDPersistentVolumeSource{}, ISCSI: &corev1.ISCSIPersistentVolumeSource{}, ScaleIO: &corev1.ScaleIOPersistentVolumeSource{},
		HostPath: &corev1.HostPathVolumeSource{}}))
	if v.Spec.RBD.RBDPool != "rbd" || v.Spec.ISCSI.ISCSIInterface != "default" || v.Spec.ScaleIO.FSType != "xfs" || v.Spec.HostPath.Type == nil {
		t.Errorf("got %+v", v.Spec.PersistentVolumeSource)
	}
	if v := of(source(corev1.PersistentVolumeSource{AzureDisk: &corev1.AzureDiskVolumeSource{}})); v.Spec.AzureDisk.Kind == nil {
		t.Errorf("got %+v", v.Spec.AzureDisk)
	}
}
