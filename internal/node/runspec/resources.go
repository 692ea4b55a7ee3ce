package runspec

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/runtime/cri"
)

const (
	cpuPeriod = 100_000 // microseconds
	minQuota  = 1_000   // the kernel takes no less
	minShares = 2
	maxShares = 262_144

	guaranteedScore = -997
	bestEffortScore = 1000
	// A burstable container lies strictly between the two, and above system daemons.
	minBurstableScore = 1000 + guaranteedScore
	maxBurstableScore = bestEffortScore - 1
)

// Resources maps requests and limits: CPU shares from the request (from the limit
// when there is no request), quota and memory from the limits. Where the container
// has no limit, the one of the whole pod is its own (KEP-2837), so that what reads
// its control group sees it.
func Resources(pod *corev1.Pod, c *corev1.Container, memoryCapacity int64) cri.Resources {
	out := cri.Resources{
		CPUShares:   shares(cpuRequest(c)),
		MemoryBytes: limit(c.Resources.Limits.Memory(), podLevel(pod).Limits.Memory()).Value(),
		OOMScoreAdj: oomScore(pod, c, memoryCapacity),
	}
	if out.CPUQuota = quota(limit(c.Resources.Limits.Cpu(), podLevel(pod).Limits.Cpu())); out.CPUQuota > 0 {
		out.CPUPeriod = cpuPeriod
	}
	return out
}

// limit is a container's, or the pod's where it has none.
func limit(own, whole *resource.Quantity) *resource.Quantity {
	if own.IsZero() {
		return whole
	}
	return own
}

// quota is the time of each period that a limit of CPU leaves, zero without a limit.
func quota(cpu *resource.Quantity) int64 {
	milli := cpu.MilliValue()
	if milli <= 0 {
		return 0
	}
	return max(milli*cpuPeriod/1000, minQuota)
}

// podLevel are the requests and limits of the pod as a whole.
func podLevel(pod *corev1.Pod) *corev1.ResourceRequirements {
	if pod.Spec.Resources == nil {
		return &corev1.ResourceRequirements{}
	}
	return pod.Spec.Resources
}

// PodLimits is what a pod's containers may use together: what the pod says, else CPU
// shares from their requests, and a limit where each container has one.
func PodLimits(pod *corev1.Pod) cgroups.Limits {
	out := cgroups.Limits{CPUPeriod: cpuPeriod, MemoryBytes: podLevel(pod).Limits.Memory().Value()}
	share := podLevel(pod).Requests.Cpu().MilliValue()
	if share <= 0 {
		share = together(pod, cpuRequest)
	}
	out.CPUShares = shares(share + pod.Spec.Overhead.Cpu().MilliValue())
	cpu, memory := true, true
	for _, c := range podfields.DeclaredContainers(&pod.Spec) {
		cpu, memory = cpu && !c.Resources.Limits.Cpu().IsZero(), memory && !c.Resources.Limits.Memory().IsZero()
	}
	if out.CPUQuota = quota(podLevel(pod).Limits.Cpu()); out.CPUQuota == 0 && cpu {
		out.CPUQuota = together(pod, func(c *corev1.Container) int64 { return quota(c.Resources.Limits.Cpu()) })
	}
	if out.MemoryBytes <= 0 && memory {
		out.MemoryBytes = together(pod, func(c *corev1.Container) int64 { return c.Resources.Limits.Memory().Value() })
	}
	addOverhead(&out, pod.Spec.Overhead)
	return out
}

// addOverhead adds what the pod needs besides its containers to the limits that there are.
func addOverhead(out *cgroups.Limits, overhead corev1.ResourceList) {
	if out.CPUQuota > 0 {
		out.CPUQuota += quota(overhead.Cpu())
	}
	if out.MemoryBytes > 0 {
		out.MemoryBytes += overhead.Memory().Value()
	}
}

// together is what the containers of a pod need at most at one time, given what each
// needs: init containers run one after the other, beside the sidecars before them.
func together(pod *corev1.Pod, each func(*corev1.Container) int64) int64 {
	var sidecars, mains, most int64
	for _, c := range lifecycle.Containers(&pod.Spec) {
		switch c.Role {
		case lifecycle.Init:
			most = max(most, sidecars+each(c.Spec))
		case lifecycle.Sidecar:
			sidecars += each(c.Spec)
		case lifecycle.Main:
			mains += each(c.Spec)
		}
	}
	return max(most, sidecars+mains)
}

// cpuRequest is in thousandths of a CPU.
func cpuRequest(c *corev1.Container) int64 {
	if request, ok := c.Resources.Requests[corev1.ResourceCPU]; ok {
		return request.MilliValue()
	}
	return c.Resources.Limits.Cpu().MilliValue()
}

func shares(milli int64) int64 { return min(max(milli*1024/1000, minShares), maxShares) }

// oomScore makes the kernel kill best-effort containers first, guaranteed ones
// last, and of burstable ones those that use most beyond their request. A sidecar is not
// killed before the main container that asks for the least memory.
func oomScore(pod *corev1.Pod, c *corev1.Container, memoryCapacity int64) int64 {
	switch status.QOSClass(pod) {
	case corev1.PodQOSGuaranteed:
		return guaranteedScore
	case corev1.PodQOSBestEffort:
		return bestEffortScore
	}
	if memoryCapacity <= 0 {
		return maxBurstableScore
	}
	request := c.Resources.Requests.Memory().Value()
	if sidecar(pod, c) {
		least := pod.Spec.Containers[0].Resources.Requests.Memory().Value()
		for i := range pod.Spec.Containers {
			least = min(least, pod.Spec.Containers[i].Resources.Requests.Memory().Value())
		}
		request = max(request, least)
	}
	request += unshared(pod)
	score := 1000 - (1000*request)/memoryCapacity
	return min(max(score, minBurstableScore), maxBurstableScore)
}

func sidecar(pod *corev1.Pod, c *corev1.Container) bool {
	return slices.ContainsFunc(lifecycle.Only(&pod.Spec, lifecycle.Sidecar), func(k lifecycle.Container) bool { return k.Spec.Name == c.Name })
}

// unshared is each container's part of the memory that the pod requests as a whole
// and no container for itself.
func unshared(pod *corev1.Pod) int64 {
	whole := podLevel(pod).Requests.Memory().Value()
	if whole == 0 {
		return 0
	}
	sum := resourcehelper.AggregateContainerRequests(pod, resourcehelper.PodResourcesOptions{})
	inContainers := sum[corev1.ResourceMemory]
	var among int64
	for range podfields.DeclaredContainers(&pod.Spec) {
		among++
	}
	return max(whole-inContainers.Value(), 0) / max(among, 1)
}
