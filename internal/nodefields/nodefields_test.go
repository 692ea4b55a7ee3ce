package nodefields_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/nodefields"
)

func TestReadyIsUnknownUntilSomebodyHasSaid(t *testing.T) {
	pressure := corev1.NodeCondition{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue}
	for _, tc := range []struct {
		conditions []corev1.NodeCondition
		want       corev1.ConditionStatus
	}{
		{nil, corev1.ConditionUnknown},
		{[]corev1.NodeCondition{pressure}, corev1.ConditionUnknown},
		{[]corev1.NodeCondition{pressure, {Type: corev1.NodeReady, Status: corev1.ConditionFalse}}, corev1.ConditionFalse},
		{[]corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}, pressure}, corev1.ConditionTrue},
	} {
		n := &corev1.Node{Status: corev1.NodeStatus{Conditions: tc.conditions}}
		if got := nodefields.Ready(n); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.conditions, got, tc.want)
		}
	}
}

func TestConditionIsTheNodesOwn(t *testing.T) {
	n := &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady}}}}
	nodefields.Condition(n, corev1.NodeReady).Status = corev1.ConditionTrue
	if nodefields.Ready(n) != corev1.ConditionTrue || nodefields.Condition(n, corev1.NodeDiskPressure) != nil {
		t.Errorf("conditions %+v", n.Status.Conditions)
	}
}

func TestExtendedResourcesHaveADomainOfTheirOwn(t *testing.T) {
	for name, want := range map[corev1.ResourceName]bool{
		"example.com/dongle": true, "scheduling.k8s.io/foo": true, "cpu": false, "hugepages-2Mi": false,
		"kubernetes.io/batteries": false, "node.kubernetes.io/x": false, "requests.example.com/dongle": false,
	} {
		if got := nodefields.Extended(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
