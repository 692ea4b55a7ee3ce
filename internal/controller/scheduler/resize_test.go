package scheduler

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestAPodThatIsResizedCountsWithTheMostOfIt has the spec ask for another amount than the
// node has allocated or the container has.
func TestAPodThatIsResizedCountsWithTheMostOfIt(t *testing.T) {
	cpu := func(q string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(q)}
	}
	for _, c := range []struct {
		name, spec, allocated, has, reason string
		want                               int64
	}{
		{name: "waits for room", spec: "3", allocated: "1", has: "1", reason: corev1.PodReasonDeferred, want: 3000},
		{name: "never has room", spec: "3", allocated: "1", has: "1", reason: corev1.PodReasonInfeasible, want: 1000},
		{name: "is allocated and not shrunk yet", spec: "1", allocated: "1", has: "2", want: 2000},
		{name: "is taken back while it grows", spec: "1", allocated: "2", has: "1", want: 2000},
	} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: cpu(c.spec)}}}}}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "c", AllocatedResources: cpu(c.allocated), Resources: &corev1.ResourceRequirements{Requests: cpu(c.has)},
		}}
		if c.reason != "" {
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: c.reason}}
		}
		if got := demandOf(pod).amounts[corev1.ResourceCPU]; got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
