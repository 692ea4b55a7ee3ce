package cascade_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/admission/cascade"
)

func TestDeletionsThatNobodyWouldFinishAreRefused(t *testing.T) {
	with := func(p metav1.DeletionPropagation) *metav1.DeleteOptions {
		return &metav1.DeleteOptions{PropagationPolicy: &p}
	}
	for name, tc := range map[string]struct {
		options runtime.Object
		refused string
	}{
		"no options":  {nil, ""},
		"none of it":  {&metav1.DeleteOptions{}, ""},
		"background":  {with(metav1.DeletePropagationBackground), ""},
		"foreground":  {with(metav1.DeletePropagationForeground), `propagationPolicy Foreground is not served: no garbage collector deletes or orphans what configmaps "c" owns`},
		"orphan":      {with(metav1.DeletePropagationOrphan), "propagationPolicy Orphan is not served"},
		"orphans":     {&metav1.DeleteOptions{OrphanDependents: ptr.To(true)}, "orphanDependents is not served"},
		"not orphans": {&metav1.DeleteOptions{OrphanDependents: ptr.To(false)}, ""},
	} {
		a := admission.NewAttributesRecord(nil, nil, corev1.SchemeGroupVersion.WithKind("ConfigMap"), "n", "c", corev1.SchemeGroupVersion.WithResource("configmaps"), "", admission.Delete, tc.options, false, nil)
		err := cascade.New().Admit(t.Context(), a, nil)
		if tc.refused == "" && err != nil || tc.refused != "" && (!apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), tc.refused)) {
			t.Errorf("%s: %v, want %q", name, err, tc.refused)
		}
	}
}
