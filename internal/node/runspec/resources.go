package runspec

import (
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/cgroups"
	"laterna.dev/laterna/internal/node/cri"
	"laterna.dev/laterna/internal/node/status"
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

// resources maps requests and limits: CPU shares from the request (from the limit
// when there is no request), quota and memory from the limits.
func resources(pod *corev1.Pod, c *corev1.Container, memoryCapacity int64) cri.Resources {
	limits := c.Resources.Limits
	out := cri.Resources{
		CPUShares:   shares(cpuRequest(c)),
		MemoryBytes: limits.Memory().Value(),
		OOMScoreAdj: oomScore(pod, c, memoryCapacity),
	}
	if milli := limits.Cpu().MilliValue(); milli > 0 {
		out.CPUPeriod = cpuPeriod
		out.CPUQuota = max(milli*cpuPeriod/1000, minQuota)
	}
	return out
}

// PodLimits is what a pod's containers may use together: CPU shares from all
// requests, and a limit where each container has one.
func PodLimits(pod *corev1.Pod) cgroups.Limits {
	out := cgroups.Limits{CPUPeriod: cpuPeriod}
	var share int64
	cpu, memory := true, true
	for i := range pod.Spec.Containers {
		r := resources(pod, &pod.Spec.Containers[i], 0)
		share += cpuRequest(&pod.Spec.Containers[i])
		cpu, memory = cpu && r.CPUQuota > 0, memory && r.MemoryBytes > 0
		out.CPUQuota += r.CPUQuota
		out.MemoryBytes += r.MemoryBytes
	}
	out.CPUShares = shares(share)
	if !cpu {
		out.CPUQuota = 0
	}
	if !memory {
		out.MemoryBytes = 0
	}
	return out
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
// last, and of burstable ones those that use most beyond their request.
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
	score := 1000 - (1000*c.Resources.Requests.Memory().Value())/memoryCapacity
	return min(max(score, minBurstableScore), maxBurstableScore)
}
