package eviction

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"

	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/node/admit"
)

// measured is a pod with what it takes.
type measured struct {
	Pod
	cgroups.Usage
	// each is by the names of its containers.
	each map[string]cgroups.Usage
}

// over is how much memory a pod has beyond what it asked for.
func (m *measured) over() int64 {
	q := resourcehelper.PodRequests(m.Pod.Pod, resourcehelper.PodResourcesOptions{})[corev1.ResourceMemory]
	return m.Usage.Memory - q.Value()
}

// victim is the pod that is to go, nil where none gives anything back. Critical pods stay.
func victim(k kind, all []*measured) *measured {
	all = slices.DeleteFunc(slices.Clone(all), func(m *measured) bool {
		return admit.Critical(m.Pod.Pod) || k == memory && m.Usage.Memory == 0 || k == pids && m.Usage.Pids == 0
	})
	if len(all) == 0 {
		return nil
	}
	order := byPids
	if k == memory {
		order = byMemory
	}
	return slices.MinFunc(all, order)
}

// byMemory puts first those that have more than they asked for, then those of less
// priority, then those that have most beyond.
func byMemory(x, y *measured) int {
	exceeds := func(m *measured) int { return map[bool]int{true: -1}[m.over() > 0] }
	return cmp.Or(cmp.Compare(exceeds(x), exceeds(y)), cmp.Compare(schedulinghelper.PodPriority(x.Pod.Pod), schedulinghelper.PodPriority(y.Pod.Pod)), cmp.Compare(y.over(), x.over()))
}

// byPids puts first those of less priority, then those with most processes.
func byPids(x, y *measured) int {
	return cmp.Or(cmp.Compare(schedulinghelper.PodPriority(x.Pod.Pod), schedulinghelper.PodPriority(y.Pod.Pod)), cmp.Compare(y.Usage.Pids, x.Usage.Pids))
}

// message is upstream's.
func message(k kind, s shortage, m *measured) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The node was low on resource: %s. Threshold quantity: %s, available: %s. ", k.name, k.amount(s.wanted), k.amount(s.left))
	if k != memory {
		return b.String()
	}
	for _, c := range m.Spec.Containers {
		request := c.Resources.Requests[corev1.ResourceMemory]
		if used := m.each[c.Name].Memory; used > request.Value() {
			fmt.Fprintf(&b, "Container %s was using %s, request is %s, has larger consumption of %s. ", c.Name, k.amount(used), request.String(), k.name)
		}
	}
	return b.String()
}
