package fit

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

func TestFit(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"disk": "ssd"}}}
	node.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}, {Key: "old", Effect: corev1.TaintEffectPreferNoSchedule}}
	plain, careful := &corev1.Pod{}, &corev1.Pod{}
	careful.Spec.Tolerations = []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}}
	careful.Spec.NodeSelector = map[string]string{"disk": "hdd"}
	if Tolerated(plain, node, corev1.TaintEffectNoSchedule) || !Tolerated(plain, node, corev1.TaintEffectNoExecute) || !Tolerated(careful, node, corev1.TaintEffectNoSchedule) {
		t.Error("taints that are not tolerated do not count")
	}
	if Tolerates(plain, node.Spec.Taints[0]) || !Tolerates(careful, node.Spec.Taints[0]) {
		t.Error("a toleration does not count")
	}
	if !Matches(nodeaffinity.GetRequiredNodeAffinity(plain), node) || Matches(nodeaffinity.GetRequiredNodeAffinity(careful), node) {
		t.Error("a selector does not count")
	}
}
