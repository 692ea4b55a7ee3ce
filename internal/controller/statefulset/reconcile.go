package statefulset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"laterna.dev/laterna/internal/controller/workload"
)

// most is how many pods are made in one go.
const most = 500

// view is what a decision is made from.
type view struct {
	set  *appsv1.StatefulSet
	pods []*corev1.Pod // the set's
	// current and update are the names of the revisions.
	current, update string
	// claim returns a claim of the set's namespace, nil where there is none.
	claim func(name string) *corev1.PersistentVolumeClaim
	now   time.Time
}

// What a step does.
type action int

const (
	create action = iota // the pod, and the claims that it lacks
	remove               // the pod
	repair               // labels of the pod that say who it is
	settle               // its claims: those that are missing, and whom they go with
)

// step is one thing that is to be done for a pod.
type step struct {
	do      action
	ordinal int64
	// pod is there already, but for create.
	pod *corev1.Pod
	// revision is the one of a pod that is to be made.
	revision string
}

// plan is what is to be done now: phases one after the other, the steps of each one after
// the other or all at once, up to the first error.
type plan struct {
	phases [][]step
	atOnce bool
	// again is when to look at the set without anything having changed; 0 is never.
	again time.Duration
}

// places are the pods of a set by where they are.
type places struct {
	ordinals
	in map[int64]*corev1.Pod
	// beyond are those that are to go, the last first.
	beyond []*corev1.Pod
}

func (v view) places() places {
	p := places{ordinals: ordinalsOf(v.set), in: map[int64]*corev1.Pod{}}
	number := map[*corev1.Pod]int64{}
	for _, pod := range v.pods {
		n, ok := ordinalOf(v.set, pod.Name)
		switch {
		case !ok:
		case p.has(n):
			p.in[n] = pod
		default:
			number[pod] = n
			p.beyond = append(p.beyond, pod)
		}
	}
	slices.SortFunc(p.beyond, func(a, b *corev1.Pod) int { return int(number[b] - number[a]) })
	return p
}

// decide says what to do next.
func (v view) decide() plan {
	p := plan{atOnce: v.set.Spec.PodManagementPolicy == appsv1.ParallelPodManagement}
	if v.set.DeletionTimestamp != nil {
		return p
	}
	at := v.places()
	p.again = v.nextAvailable()
	steps, goOn := v.fill(at, p.atOnce)
	p.phases = append(p.phases, steps)
	if !goOn {
		return p
	}
	p.phases = append(p.phases, v.settleBeyond(at))
	steps, goOn = v.shrink(at, p.atOnce)
	p.phases = append(p.phases, steps)
	if goOn {
		p.phases = append(p.phases, v.renew(at))
	}
	return p
}

// fill makes the pods that are missing, and puts right those that are there. In order, it
// stops at the first that is not available.
func (v view) fill(at places, atOnce bool) (steps []step, goOn bool) {
	made := 0
	for n := at.first; n < at.end; n++ {
		pod := at.in[n]
		if pod == nil {
			if made++; made > most {
				return steps, false
			}
			steps = append(steps, step{do: create, ordinal: n, revision: v.revisionFor(n)})
			if !atOnce {
				return steps, false
			}
			continue
		}
		if workload.Terminal(pod) {
			// Whatever way it ended, there is to be one that runs.
			if pod.DeletionTimestamp == nil {
				steps = append(steps, step{do: remove, ordinal: n, pod: pod})
			}
			if !atOnce {
				return steps, false
			}
			continue
		}
		waits := !v.available(pod)
		if (waits && pod.Status.Phase == corev1.PodPending || !waits) && v.unsettled(pod, n, false) {
			steps = append(steps, step{do: settle, ordinal: n, pod: pod})
		}
		if waits && !atOnce {
			return steps, false
		}
		if pod.DeletionTimestamp == nil && !isItself(v.set, pod, n) {
			steps = append(steps, step{do: repair, ordinal: n, pod: pod})
		}
	}
	return steps, true
}

// settleBeyond has the claims of pods that are to go know it.
func (v view) settleBeyond(at places) (steps []step) {
	for _, pod := range at.beyond {
		if n, _ := ordinalOf(v.set, pod.Name); v.unsettled(pod, n, true) {
			steps = append(steps, step{do: settle, ordinal: n, pod: pod})
		}
	}
	return steps
}

// shrink removes the pods beyond the number. In order, only the last one, and it waits for
// one that is ending, and while another that is not available comes first.
func (v view) shrink(at places, atOnce bool) (steps []step, goOn bool) {
	var sick *corev1.Pod // the first that is not available
	for _, pod := range at.beyond {
		if !v.available(pod) {
			sick = pod
		}
	}
	for _, pod := range at.beyond {
		n, _ := ordinalOf(v.set, pod.Name)
		switch ends := pod.DeletionTimestamp != nil; {
		case atOnce && ends:
		case atOnce:
			steps = append(steps, step{do: remove, ordinal: n, pod: pod})
		case ends || !v.available(pod) && pod != sick:
			return nil, false
		default:
			return []step{{do: remove, ordinal: n, pod: pod}}, false
		}
	}
	return steps, true
}

// renew removes pods of another revision, the last first, so that they are made anew.
func (v view) renew(at places) (steps []step) {
	u := v.set.Spec.UpdateStrategy
	if u.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return nil
	}
	partition, limit := int64(0), (*intstr.IntOrString)(nil)
	if u.RollingUpdate != nil {
		if u.RollingUpdate.Partition != nil {
			partition = int64(*u.RollingUpdate.Partition)
		}
		limit = u.RollingUpdate.MaxUnavailable
	}
	if limit != nil {
		return v.renewSome(at, at.first+partition, limit)
	}
	for n := at.end - 1; n >= at.first+partition; n-- {
		pod := at.in[n]
		switch {
		case pod == nil || workload.Terminal(pod):
			return nil // it is made first
		case revisionOf(pod) != v.update && pod.DeletionTimestamp == nil:
			return []step{{do: remove, ordinal: n, pod: pod}}
		case !v.available(pod):
			return nil
		}
	}
	return nil
}

// renewSome is renew where more than one pod may be unavailable.
func (v view) renewSome(at places, least int64, limit *intstr.IntOrString) (steps []step) {
	total := int(at.end - at.first)
	may, err := intstr.GetScaledValueFromIntOrPercent(limit, total, false)
	if err != nil {
		return nil // refused when it was written
	}
	left := max(may, 1) - total
	var old []step
	for n, pod := range at.in {
		if v.available(pod) {
			left++
		}
		if n >= least && revisionOf(pod) != v.update && pod.DeletionTimestamp == nil && !workload.Terminal(pod) {
			old = append(old, step{do: remove, ordinal: n, pod: pod})
		}
	}
	slices.SortFunc(old, func(a, b step) int { return int(b.ordinal - a.ordinal) })
	return old[:min(max(left, 0), len(old))]
}

// revisionFor is the revision that the pod with a number is made from: the current one
// where an update has not come to it.
func (v view) revisionFor(n int64) string {
	u := v.set.Spec.UpdateStrategy
	if u.Type != appsv1.RollingUpdateStatefulSetStrategyType {
		return v.update
	}
	old := int64(v.set.Status.CurrentReplicas)
	if u.RollingUpdate != nil {
		old = 0
		if u.RollingUpdate.Partition != nil {
			old = int64(*u.RollingUpdate.Partition)
		}
	}
	if n < ordinalsOf(v.set).first+old {
		return v.current
	}
	return v.update
}

// ready tells whether a pod runs and is ready.
func ready(pod *corev1.Pod) bool {
	_, ok := workload.Ready(pod)
	return ok && pod.Status.Phase == corev1.PodRunning
}

// available tells whether a pod is ready for long enough, and not ending.
func (v view) available(pod *corev1.Pod) bool {
	_, ok := workload.Available(pod, v.set.Spec.MinReadySeconds, v.now)
	return ok && ready(pod) && pod.DeletionTimestamp == nil
}

// nextAvailable is when the next pod that is ready will be available.
func (v view) nextAvailable() (next time.Duration) {
	for _, pod := range v.pods {
		if left, _ := workload.Available(pod, v.set.Spec.MinReadySeconds, v.now); left > 0 && (next == 0 || left < next) {
			next = left
		}
	}
	return next
}

// unsettled tells whether a claim of a pod is missing, or is to go with another.
func (v view) unsettled(pod *corev1.Pod, n int64, scaledAway bool) bool {
	for i := range v.set.Spec.VolumeClaimTemplates {
		claim := v.claim(claimName(v.set, &v.set.Spec.VolumeClaimTemplates[i], n))
		if claim == nil {
			if !scaledAway && pod.Status.Phase == corev1.PodPending {
				return true
			}
			continue
		}
		if _, differ := owners(v.set, pod, scaledAway, claim); differ {
			return true
		}
	}
	return false
}
