package nodetaint_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"

	"laterna.dev/laterna/internal/admission/nodetaint"
)

func TestNewNodeIsTaintedAsNotReady(t *testing.T) {
	notReady := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}
	evicting := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoExecute}
	for name, tc := range map[string]struct{ have, want []corev1.Taint }{
		"no taints":      {nil, []corev1.Taint{notReady}},
		"the taint":      {[]corev1.Taint{notReady}, []corev1.Taint{notReady}},
		"another effect": {[]corev1.Taint{evicting}, []corev1.Taint{evicting, notReady}},
	} {
		node := &corev1.Node{Spec: corev1.NodeSpec{Taints: tc.have}}
		a := admission.NewAttributesRecord(node, nil, corev1.SchemeGroupVersion.WithKind("Node"), "", "a", corev1.SchemeGroupVersion.WithResource("nodes"), "", admission.Create, nil, false, nil)
		if err := nodetaint.New().Admit(t.Context(), a, nil); err != nil || fmt.Sprint(node.Spec.Taints) != fmt.Sprint(tc.want) {
			t.Errorf("%s: %v, taints %v, want %v", name, err, node.Spec.Taints, tc.want)
		}
	}
}
