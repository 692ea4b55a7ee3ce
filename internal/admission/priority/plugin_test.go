package priority_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/admission/priority"
)

func attributes(op admission.Operation, sub string, pod, old *corev1.Pod) admission.Attributes {
	return admission.NewAttributesRecord(pod, old, corev1.SchemeGroupVersion.WithKind("Pod"), "n", "p", corev1.SchemeGroupVersion.WithResource("pods"), sub, op, nil, false, nil)
}

func TestCreate(t *testing.T) {
	never := corev1.PreemptNever
	for name, tc := range map[string]struct {
		spec corev1.PodSpec
		want int32
		err  string
	}{
		"nothing":        {corev1.PodSpec{}, 0, ""},
		"zero":           {corev1.PodSpec{Priority: ptr.To[int32](0)}, 0, ""},
		"cluster":        {corev1.PodSpec{PriorityClassName: "system-cluster-critical"}, 2000000000, ""},
		"node":           {corev1.PodSpec{PriorityClassName: "system-node-critical"}, 2000001000, ""},
		"unknown class":  {corev1.PodSpec{PriorityClassName: "high"}, 0, "no PriorityClass with name high was found"},
		"own number":     {corev1.PodSpec{Priority: ptr.To[int32](7)}, 0, "the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name"},
		"own preemption": {corev1.PodSpec{PreemptionPolicy: &never}, 0, "the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission controller computed PreemptLowerPriority from the given PriorityClass name"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: tc.spec}
			err := priority.New().Admit(t.Context(), attributes(admission.Create, "", pod, nil), nil)
			if tc.err != "" {
				if err == nil || !strings.HasSuffix(err.Error(), tc.err) {
					t.Errorf("err = %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil || *pod.Spec.Priority != tc.want || *pod.Spec.PreemptionPolicy != corev1.PreemptLowerPriority {
				t.Errorf("%v, admitted as %+v, want priority %d", err, pod.Spec, tc.want)
			}
		})
	}
}

func TestUpdateKeeps(t *testing.T) {
	policy := corev1.PreemptLowerPriority
	old := &corev1.Pod{Spec: corev1.PodSpec{Priority: ptr.To[int32](5), PreemptionPolicy: &policy}}
	pod := &corev1.Pod{}
	if err := priority.New().Admit(t.Context(), attributes(admission.Update, "", pod, old), nil); err != nil {
		t.Fatal(err)
	}
	if pod.Spec.Priority == nil || *pod.Spec.Priority != 5 || pod.Spec.PreemptionPolicy == nil {
		t.Errorf("after an update without them: %+v", pod.Spec)
	}
	bare := &corev1.Pod{}
	if err := priority.New().Admit(t.Context(), attributes(admission.Update, "status", bare, old), nil); err != nil || bare.Spec.Priority != nil {
		t.Errorf("a report was changed: %v %+v", err, bare.Spec)
	}
}
