package volumeattachment

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

func of(change func(*attachment)) *attachment {
	a := &attachment{Spec: storagev1.VolumeAttachmentSpec{Attacher: "a.example.com", NodeName: "n", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: new("v")}}}
	if change != nil {
		change(a)
	}
	return a
}

func TestAttachmentsThatAreRefused(t *testing.T) {
	inline := &corev1.PersistentVolumeSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: "x",
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "d", VolumeHandle: "h"}}}
	for name, tc := range map[string]struct {
		change func(*attachment)
		want   string
	}{
		"good":        {nil, "<nil>"},
		"no attacher": {func(a *attachment) { a.Spec.Attacher = "" }, "spec.attacher: Required value"},
		"no node":     {func(a *attachment) { a.Spec.NodeName = "" }, "spec.nodeName: Invalid value"},
		"no source":   {func(a *attachment) { a.Spec.Source.PersistentVolumeName = nil }, "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"},
		"two sources": {func(a *attachment) { a.Spec.Source.InlineVolumeSpec = inline }, "spec.source: Forbidden: must specify exactly one"},
		"no name":     {func(a *attachment) { a.Spec.Source.PersistentVolumeName = new("") }, "spec.source.persistentVolumeName: Required value: must specify non empty"},
		"odd name":    {func(a *attachment) { a.Spec.Source.PersistentVolumeName = new("A") }, "spec.source.persistentVolumeName: Invalid value"},
		"inline":      {func(a *attachment) { a.Spec.Source = storagev1.VolumeAttachmentSource{InlineVolumeSpec: inline} }, "spec.source.inlineVolumeSpec.storageClassName: Forbidden: may not be specified in the context of inline volumes"},
		"metadata": {func(a *attachment) {
			a.Status.AttachmentMetadata = map[string]string{"a": strings.Repeat("a", maxMetadata)}
		}, "status.attachmentMetadata: Too long"},
		"message": {func(a *attachment) {
			a.Status.DetachError = &storagev1.VolumeError{Message: strings.Repeat("a", maxMessage+1)}
		}, "status.detachError.message: Too long"},
		"code": {func(a *attachment) { a.Status.AttachError = &storagev1.VolumeError{ErrorCode: new(int32(-1))} }, "status.attachError.errorCode: Invalid value: -1"},
	} {
		if got := fmt.Sprint(validateNew(of(tc.change)).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	other := of(func(a *attachment) { a.Spec.NodeName = "m" })
	if errs := validateChange(other, of(nil)); len(errs) != 1 || !strings.Contains(errs[0].Error(), "field is immutable") {
		t.Errorf("another node: %v", errs)
	}
}

func TestStatusIsWrittenAlone(t *testing.T) {
	now := of(func(a *attachment) {
		a.Spec.NodeName, a.Status.Attached, a.Labels = "m", true, map[string]string{"a": "b"}
	})
	Definition().Status.PrepareUpdate(t.Context(), now, of(nil))
	if !now.Status.Attached || now.Spec.NodeName != "n" || now.Labels != nil {
		t.Errorf("got %+v", now)
	}
	if got, want := fmt.Sprint(columns().Row(now)), "[ a.example.com v n true <unknown>]"; got != want {
		t.Errorf("row %s, want %s", got, want)
	}
}
