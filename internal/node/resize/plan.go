package resize

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/runtime/cri"
)

// change is a running container that does not have what it is allocated.
type change struct {
	spec       *corev1.Container // with what it is allocated
	container  cri.Container
	have, want cri.Resources
	// restart says that its resizePolicy has it restarted for that.
	restart bool
}

// changes compares a pod, with what it is allocated, with what its containers have.
func changes(pod *corev1.Pod, actuated Amounts, containers []cri.Container, memory int64) (out []change) {
	was := actuated.in(pod)
	had := map[string]*corev1.Container{}
	for _, c := range podfields.DeclaredContainers(&was.Spec) {
		had[c.Name] = c
	}
	for _, c := range podfields.DeclaredContainers(&pod.Spec) {
		attempts := lifecycle.Attempts(containers, c.Name)
		if len(attempts) == 0 || attempts[0].State != cri.ContainerRunning {
			continue
		}
		before := had[c.Name]
		d := change{
			spec: c, container: attempts[0],
			have: runspec.Resources(was, before, memory), want: runspec.Resources(pod, c, memory),
		}
		cpu := d.have.CPUShares != d.want.CPUShares || d.have.CPUQuota != d.want.CPUQuota
		bytes := d.have.MemoryBytes != d.want.MemoryBytes || c.Resources.Requests.Memory().Cmp(*before.Resources.Requests.Memory()) != 0
		if !cpu && !bytes && apiequality.Semantic.DeepEqual(c.Resources, before.Resources) {
			continue
		}
		d.restart = cpu && restarts(c, corev1.ResourceCPU) || bytes && restarts(c, corev1.ResourceMemory)
		out = append(out, d)
	}
	return out
}

func restarts(c *corev1.Container, name corev1.ResourceName) bool {
	return slices.ContainsFunc(c.ResizePolicy, func(p corev1.ContainerResizePolicy) bool {
		return p.ResourceName == name && p.RestartPolicy == corev1.RestartContainer
	})
}

// lower reports whether a limit b is lower than a; zero is no limit.
func lower(a, b int64) bool { return b != 0 && (a == 0 || b < a) }

// lowerFirst orders changes so that those that lower a limit come first: what they give
// back is there for the others.
func lowerFirst(list []change, limit func(cri.Resources) int64) []change {
	rank := func(c change) int {
		if lower(limit(c.have), limit(c.want)) {
			return 0
		}
		return 1
	}
	return slices.SortedStableFunc(slices.Values(list), func(a, b change) int { return cmp.Compare(rank(a), rank(b)) })
}
