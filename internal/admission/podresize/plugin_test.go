package podresize

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes/fake"
)

func pod(node, cpu, memory string, generation int64) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "d", Generation: generation},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)},
		}}}},
	}
}

func TestAResizeBeyondTheWholeNodeIsRefused(t *testing.T) {
	node := func(name, os string) *corev1.Node {
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelOSStable: os}},
			Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")}},
		}
	}
	p := New(fake.NewClientset(node("n", "linux"), node("w", "windows")))
	for _, c := range []struct {
		name, node, cpu, memory, subresource, want string
		same                                       bool
	}{
		{name: "fits", node: "n", cpu: "2", memory: "1Gi", subresource: "resize"},
		{name: "no node yet", cpu: "20", memory: "1Gi", subresource: "resize"},
		{name: "nothing changed", node: "n", cpu: "20", memory: "1Gi", subresource: "resize", same: true},
		{name: "another subresource", node: "n", cpu: "20", memory: "1Gi", subresource: "status"},
		{name: "cpu", node: "n", cpu: "2001m", memory: "1Gi", subresource: "resize",
			want: `pods "p" is forbidden: node didn't have enough allocatable resources: cpu, requested: 2001, allocatable: 2000`},
		{name: "both", node: "n", cpu: "3", memory: "2Gi", subresource: "resize",
			want: `pods "p" is forbidden: node didn't have enough allocatable resources: cpu, requested: 3000, allocatable: 2000; memory, requested: 2147483648, allocatable: 1073741824`},
		{name: "no such node", node: "x", cpu: "1", memory: "1", subresource: "resize", want: `pods "p" is forbidden: node "x" not found`},
		{name: "another system", node: "w", cpu: "1", memory: "1", subresource: "resize",
			want: `pods "p" is forbidden: pod resize is only supported on linux nodes, node "w" is "windows"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			now, old := pod(c.node, c.cpu, c.memory, 2), pod(c.node, "1", "1", 1)
			if c.same {
				old.Generation = 2
			}
			a := admission.NewAttributesRecord(now, old, corev1.SchemeGroupVersion.WithKind("Pod"), "d", "p",
				corev1.SchemeGroupVersion.WithResource("pods"), c.subresource, admission.Update, nil, false, nil)
			err := p.Validate(context.Background(), a, nil)
			if got := message(err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			var status *apierrors.StatusError
			if errors.As(err, &status) && c.name == "cpu" && (len(status.ErrStatus.Details.Causes) != 1 || status.ErrStatus.Details.Causes[0].Type != "NodeCapacity") {
				t.Errorf("causes %+v, want NodeCapacity", status.ErrStatus.Details.Causes)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
