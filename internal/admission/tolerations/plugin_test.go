package tolerations_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"

	"laterna.dev/laterna/internal/admission/tolerations"
)

func TestAdmit(t *testing.T) {
	const notReady, unreachable = "node.kubernetes.io/not-ready:NoExecute op=Exists for 300s", "node.kubernetes.io/unreachable:NoExecute op=Exists for 300s"
	for name, tc := range map[string]struct {
		have []corev1.Toleration
		want []string // added
	}{
		"none":          {nil, []string{notReady, unreachable}},
		"everything":    {[]corev1.Toleration{{Operator: corev1.TolerationOpExists}}, nil},
		"one of them":   {[]corev1.Toleration{{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists}}, []string{unreachable}},
		"other effect":  {[]corev1.Toleration{{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}}, []string{notReady, unreachable}},
		"other taint":   {[]corev1.Toleration{{Key: "x", Effect: corev1.TaintEffectNoExecute}}, []string{notReady, unreachable}},
		"all evictions": {[]corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{Tolerations: tc.have}}
			a := admission.NewAttributesRecord(pod, nil, corev1.SchemeGroupVersion.WithKind("Pod"), "n", "p", corev1.SchemeGroupVersion.WithResource("pods"), "", admission.Create, nil, false, nil)
			for range 2 { // a second run adds nothing
				if err := tolerations.New().Admit(t.Context(), a, nil); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, x := range pod.Spec.Tolerations[len(tc.have):] {
				got = append(got, fmt.Sprintf("%s:%s op=%s for %ds", x.Key, x.Effect, x.Operator, *x.TolerationSeconds))
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("added %q, want %q", got, tc.want)
			}
		})
	}
}
