package compat

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// part is an object's own part, as JSON has it.
type part = map[string]any

// stored are the lives of kinds of storage.k8s.io/v1.
func stored(plural string, object part) life {
	return life{resource: storagev1.SchemeGroupVersion.WithResource(plural), object: func() map[string]any { return object }}
}

func TestConformanceStorage(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-storage] CSIInlineVolumes should run through the lifecycle of a CSIDriver", s.lives(stored("csidrivers",
		part{"kind": "CSIDriver", "spec": part{"volumeLifecycleModes": []any{"Ephemeral"}}})))
	s.conforms(t, "[sig-storage] CSIInlineVolumes should support CSIVolumeSource in Pod API", s.inlineVolume)
	nodes := stored("csinodes", part{"kind": "CSINode", "spec": part{"drivers": []any{part{"name": "e2e-driver.example.com", "nodeID": "e2e", "topologyKeys": []any{}}}}})
	nodes.silent = true // kubelets write them
	s.conforms(t, "[sig-storage] CSINodes CSI Conformance should run through the lifecycle of a csinode", s.lives(nodes))
	capacities := stored("csistoragecapacities", part{"kind": "CSIStorageCapacity", "storageClassName": "e2e-class", "capacity": "1Gi"})
	capacities.namespaced = true
	s.conforms(t, "[sig-storage] CSIStorageCapacity should support CSIStorageCapacities API operations", s.lives(capacities))
	s.conforms(t, "[sig-storage] PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC", s.volumeLife)
	s.conforms(t, "[sig-storage] PersistentVolumes CSI Conformance should apply changes to a pv/pvc status", s.volumeStatus)
	s.conforms(t, "[sig-storage] StorageClasses CSI Conformance should run through the lifecycle of a StorageClass", s.lives(stored("storageclasses",
		part{"kind": "StorageClass", "provisioner": "e2e-fake-provisioner"})))
	attachments := stored("volumeattachments", part{"kind": "VolumeAttachment", "spec": part{
		"attacher": "e2e-test.storage.k8s.io", "nodeName": "e2e-node", "source": part{"persistentVolumeName": "e2e-volume"}}})
	s.conforms(t, "[sig-storage] VolumeAttachment Conformance should run through the lifecycle of a VolumeAttachment", s.lives(attachments))
	attachments.status, attachments.statusAlone = part{"attached": true}, true
	s.conforms(t, "[sig-storage] VolumeAttachment Conformance should apply changes to a volumeattachment status", s.lives(attachments))
	s.conforms(t, "[sig-storage] VolumeAttributesClass [FeatureGate:VolumeAttributesClass] should run through the lifecycle of a VolumeAttributesClass",
		s.lives(stored("volumeattributesclasses", part{"kind": "VolumeAttributesClass", "driverName": "e2e-driver", "parameters": part{"a": "b"}})))
}

// inlineVolume makes a pod with a volume of a storage driver, which is stored and waits.
func (s *stage) inlineVolume(t *testing.T) {
	drivers := s.client.StorageV1().CSIDrivers()
	driver, err := drivers.Create(t.Context(), &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-inline-"},
		Spec: storagev1.CSIDriverSpec{VolumeLifecycleModes: []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecycleEphemeral}}}, metav1.CreateOptions{})
	s.must(t, err)
	t.Cleanup(func() { _ = drivers.Delete(context.Background(), driver.Name, metav1.DeleteOptions{}) })
	pod := shell(s.name("inline"), forever)
	pod.Labels = map[string]string{"test": "csi"}
	pod.Spec.Volumes = []corev1.Volume{{Name: "inline", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: driver.Name}}}}
	pods := s.client.CoreV1().Pods(s.ns)
	made := s.create(t, pod)
	if c := made.Spec.Volumes[0].CSI; c == nil || c.Driver != driver.Name {
		t.Errorf("made with %+v", made.Spec.Volumes[0])
	}
	list, err := pods.List(t.Context(), metav1.ListOptions{LabelSelector: "test=csi"})
	if err != nil || len(list.Items) != 1 || list.Items[0].Spec.Volumes[0].CSI.Driver != driver.Name {
		t.Fatalf("%+v, %v", list, err)
	}
	patched, err := pods.Patch(t.Context(), made.Name, types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"test":"patched"}}}`), metav1.PatchOptions{})
	if err != nil || patched.Labels["test"] != "patched" || patched.Spec.Volumes[0].CSI == nil {
		t.Errorf("%+v, %v", patched, err)
	}
}

// volumeAndClaim makes a volume and a claim of one class, which nothing serves.
func (s *stage) volumeAndClaim(t *testing.T, use string) (*corev1.PersistentVolume, *corev1.PersistentVolumeClaim) {
	t.Helper()
	name, labels := s.ns+"-"+s.name(use), map[string]string{"e2e-pv-pool": s.ns + "-" + use}
	room := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	volumes := s.client.CoreV1().PersistentVolumes()
	v, err := volumes.Create(t.Context(), &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: corev1.PersistentVolumeSpec{
		Capacity: room, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: name,
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "e2e-driver", VolumeHandle: "e2e-conformance"}},
	}}, metav1.CreateOptions{})
	s.must(t, err)
	t.Cleanup(func() { _ = volumes.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	c, err := s.client.CoreV1().PersistentVolumeClaims(s.ns).Create(t.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &name, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: room}},
	}, metav1.CreateOptions{})
	s.must(t, err)
	return v, c
}

func (s *stage) volumeLife(t *testing.T) {
	volumes, claims := s.client.CoreV1().PersistentVolumes(), s.client.CoreV1().PersistentVolumeClaims(s.ns)
	mine := metav1.ListOptions{LabelSelector: "e2e-pv-pool=" + s.ns + "-life"}
	left := func(want int) {
		t.Helper()
		v, err := volumes.List(t.Context(), mine)
		c, claimErr := claims.List(t.Context(), mine)
		if err != nil || claimErr != nil || len(v.Items) != want || len(c.Items) != want {
			t.Fatalf("%d volumes, %v, %d claims, %v, want %d", len(v.Items), err, len(c.Items), claimErr, want)
		}
	}
	v, c := s.volumeAndClaim(t, "life")
	left(1)
	patch := []byte(`{"metadata":{"labels":{"patched":"true"}}}`)
	if got, err := volumes.Patch(t.Context(), v.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil || got.Labels["patched"] != "true" {
		t.Errorf("patched to %+v, %v", got, err)
	}
	if got, err := claims.Patch(t.Context(), c.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil || got.Labels["patched"] != "true" {
		t.Errorf("patched to %+v, %v", got, err)
	}
	read, err := volumes.Get(t.Context(), v.Name, metav1.GetOptions{})
	if err != nil || read.UID != v.UID {
		t.Errorf("read %+v, %v", read, err)
	}
	s.must(t, claims.Delete(t.Context(), c.Name, metav1.DeleteOptions{}))
	s.must(t, volumes.Delete(t.Context(), v.Name, metav1.DeleteOptions{}))
	left(0)
	v, c = s.volumeAndClaim(t, "life")
	v.Labels["updated"], c.Labels["updated"] = "true", "true"
	if got, err := volumes.Update(t.Context(), v, metav1.UpdateOptions{}); err != nil || got.Labels["updated"] != "true" {
		t.Errorf("updated to %+v, %v", got, err)
	}
	if got, err := claims.Update(t.Context(), c, metav1.UpdateOptions{}); err != nil || got.Labels["updated"] != "true" {
		t.Errorf("updated to %+v, %v", got, err)
	}
	s.must(t, claims.DeleteCollection(t.Context(), metav1.DeleteOptions{}, mine))
	s.must(t, volumes.DeleteCollection(t.Context(), metav1.DeleteOptions{}, mine))
	left(0)
}

func (s *stage) volumeStatus(t *testing.T) {
	volumes, claims := s.client.CoreV1().PersistentVolumes(), s.client.CoreV1().PersistentVolumeClaims(s.ns)
	v, c := s.volumeAndClaim(t, "status")
	if v.Status.Phase != corev1.VolumePending || v.Status.LastPhaseTransitionTime == nil || c.Status.Phase != corev1.ClaimPending {
		t.Errorf("phases %+v and %+v", v.Status, c.Status)
	}
	c, err := claims.Patch(t.Context(), c.Name, types.MergePatchType,
		[]byte(`{"status":{"conditions":[{"type":"StatusPatched","status":"True","reason":"E2E patchedStatus","message":"Set from e2e test"}]}}`), metav1.PatchOptions{}, "status")
	if err != nil || len(c.Status.Conditions) != 1 || c.Status.Conditions[0].Reason != "E2E patchedStatus" {
		t.Fatalf("%+v, %v", c, err)
	}
	v, err = volumes.Patch(t.Context(), v.Name, types.MergePatchType, []byte(`{"status":{"message":"StatusPatched","reason":"E2E patchStatus"}}`), metav1.PatchOptions{}, "status")
	if err != nil || v.Status.Message != "StatusPatched" || v.Status.Reason != "E2E patchStatus" {
		t.Fatalf("%+v, %v", v, err)
	}
	c.Status.Conditions = append(c.Status.Conditions, corev1.PersistentVolumeClaimCondition{Type: "StatusUpdated", Status: "True", Reason: "E2E updateStatus"})
	c, err = claims.UpdateStatus(t.Context(), c, metav1.UpdateOptions{})
	if err != nil || len(c.Status.Conditions) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	v.Status.Reason, v.Spec.StorageClassName = "E2E updateStatus", "other"
	v, err = volumes.UpdateStatus(t.Context(), v, metav1.UpdateOptions{})
	if err != nil || v.Status.Reason != "E2E updateStatus" || v.Spec.StorageClassName == "other" {
		t.Errorf("%+v, %v", v, err)
	}
}
