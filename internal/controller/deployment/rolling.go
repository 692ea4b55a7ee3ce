package deployment

import (
	"math"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// bounds returns how many pods there may be beyond those wanted while one set replaces
// another, and how many may be missing. One of them is above zero where pods are wanted.
func (r *rollout) bounds() (surge, missing int) {
	s := r.deployment.Spec.Strategy.RollingUpdate
	if !r.rolls() || s == nil {
		return 0, 0
	}
	surge, missing = scaled(s.MaxSurge, r.want(), true), scaled(s.MaxUnavailable, r.want(), false)
	if surge == 0 && missing == 0 {
		missing = 1
	}
	return surge, min(missing, r.want())
}

// scaled is a number, or a percentage of n. What cannot be read, which is not in the
// store, is 0.
func scaled(v *intstr.IntOrString, n int, up bool) int {
	got, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(v, intstr.FromInt32(0)), n, up)
	if err != nil {
		return 0
	}
	return min(max(got, 0), math.MaxInt32)
}

// most is how many pods there may be at once.
func (r *rollout) most() int {
	surge, _ := r.bounds()
	return min(r.want()+surge, math.MaxInt32)
}

// least is how many pods must be available.
func (r *rollout) least() int {
	_, missing := r.bounds()
	return r.want() - missing
}

// room is how many pods a set that has size pods of the current template may have.
func (r *rollout) room(size int) int {
	if !r.rolls() {
		return r.want()
	}
	now := total(r.old) + size
	if now >= r.most() {
		return size
	}
	return size + min(r.most()-now, r.want()-size)
}

// roll returns the next step of a rolling update: the current set grows as far as there
// is room, or else old ones shrink as far as enough pods are available. Nothing is left to
// do when it returns nothing.
func (r *rollout) roll() []scaling {
	if now := size(r.current); now > r.want() {
		return []scaling{{r.current, r.want()}}
	} else if to := r.room(now); now < r.want() && to != now {
		return []scaling{{r.current, to}}
	}
	return r.shrink()
}

// shrink takes pods from old sets: first those that are not available anyway, then as many
// of the others as may be missing. Pods of the current set that are not available yet
// count as missing.
func (r *rollout) shrink() (steps []scaling) {
	old := active(r.old)
	all := append(active(r.old), r.current)
	most := total(all) - r.least() - (size(r.current) - int(r.current.Status.AvailableReplicas))
	if len(old) == 0 || most <= 0 {
		return nil
	}
	sizes := map[types.UID]int{}
	for _, s := range old {
		idle := min(most, max(size(s)-int(s.Status.AvailableReplicas), 0))
		sizes[s.UID] = size(s) - idle
		most -= idle
	}
	excess := available(all) - r.least()
	for _, s := range old {
		cut := min(sizes[s.UID], max(excess, 0))
		excess -= cut
		if to := sizes[s.UID] - cut; to != size(s) {
			steps = append(steps, scaling{s, to})
		}
	}
	return steps
}

// none takes all pods from sets.
func none(sets []*appsv1.ReplicaSet) (steps []scaling) {
	for _, s := range active(sets) {
		steps = append(steps, scaling{s, 0})
	}
	return steps
}
