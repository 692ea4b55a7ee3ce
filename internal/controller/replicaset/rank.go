package replicaset

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/controller/workload"
)

// rank sorts pods in the order in which they go, the first rule that tells two apart
// deciding. neighbours counts, by node, the active pods of all sets of their owner.
func rank(pods []*corev1.Pod, neighbours map[string]int, now time.Time) {
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(
			yesFirst(a.Spec.NodeName == "", b.Spec.NodeName == ""),
			cmp.Compare(phase(a), phase(b)),
			yesFirst(!ready(a), !ready(b)),
			cmp.Compare(cost(a), cost(b)),
			cmp.Compare(neighbours[b.Spec.NodeName], neighbours[a.Spec.NodeName]),
			readyFor(a, b, now),
			restarts(a, b),
			shorter(a, b, a.CreationTimestamp.Time, b.CreationTimestamp.Time, now),
			cmp.Compare(a.UID, b.UID),
		)
	})
}

// yesFirst puts what something is true of before what it is not.
func yesFirst(a, b bool) int {
	switch {
	case a && !b:
		return -1
	case b && !a:
		return 1
	}
	return 0
}

func phase(p *corev1.Pod) int {
	switch p.Status.Phase {
	case corev1.PodUnknown:
		return 1
	case corev1.PodRunning:
		return 2
	}
	return 0
}

func ready(p *corev1.Pod) bool {
	_, ok := workload.Ready(p)
	return ok
}

// cost is what a pod's annotation says that its deletion costs. What is no 32 bit number
// as Go prints one counts as 0.
func cost(p *corev1.Pod) int32 {
	said := p.Annotations[corev1.PodDeletionCost]
	if strings.HasPrefix(said, "+") || (len(said) > 1 && said[0] == '0') {
		return 0
	}
	n, err := strconv.ParseInt(said, 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}

// readyFor puts the pod first that is ready for a shorter time.
func readyFor(a, b *corev1.Pod, now time.Time) int {
	since, ok := workload.Ready(a)
	other, okToo := workload.Ready(b)
	if !ok || !okToo {
		return 0
	}
	return shorter(a, b, since, other, now)
}

// shorter puts the pod first for which something lasts a shorter time, by orders of
// magnitude: of two times that are alike, the smaller UID decides, so that not always the
// youngest pods go.
func shorter(a, b *corev1.Pod, since, other, now time.Time) int {
	switch {
	case since.Equal(other):
		return 0
	case since.IsZero() || other.IsZero():
		return yesFirst(since.IsZero(), other.IsZero())
	}
	return cmp.Or(cmp.Compare(magnitude(now.Sub(since)), magnitude(now.Sub(other))), cmp.Compare(a.UID, b.UID))
}

// magnitude is the logarithm of a time in nanoseconds, -1 for none.
func magnitude(d time.Duration) int64 {
	if d <= 0 {
		return -1
	}
	return int64(math.Log2(float64(d)))
}

// restarts puts the pod first of which a container was restarted more often; sidecars
// count where the containers are alike.
func restarts(a, b *corev1.Pod) int {
	mains, sidecars := restarted(a)
	otherMains, otherSidecars := restarted(b)
	return cmp.Or(cmp.Compare(otherMains, mains), cmp.Compare(otherSidecars, sidecars))
}

// restarted is how often the container of a pod was restarted that was most often, and
// the same of its sidecars.
func restarted(p *corev1.Pod) (mains, sidecars int32) {
	for i := range p.Status.ContainerStatuses {
		mains = max(mains, p.Status.ContainerStatuses[i].RestartCount)
	}
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			continue
		}
		for j := range p.Status.InitContainerStatuses {
			if s := &p.Status.InitContainerStatuses[j]; s.Name == c.Name {
				sidecars = max(sidecars, s.RestartCount)
			}
		}
	}
	return mains, sidecars
}
