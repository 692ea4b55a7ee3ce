package runspec

import (
	corev1 "k8s.io/api/core/v1"

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
	limits, requests := c.Resources.Limits, c.Resources.Requests
	share := requests.Cpu()
	if _, ok := requests[corev1.ResourceCPU]; !ok {
		share = limits.Cpu()
	}
	out := cri.Resources{
		CPUShares:   shares(share.MilliValue()),
		MemoryBytes: limits.Memory().Value(),
		OOMScoreAdj: oomScore(pod, c, memoryCapacity),
	}
	if milli := limits.Cpu().MilliValue(); milli > 0 {
		out.CPUPeriod = cpuPeriod
		out.CPUQuota = max(milli*cpuPeriod/1000, minQuota)
	}
	return out
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
