package deployment

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
)

// rescaled tells whether the number of pods that are wanted has changed since sets were
// told of it.
func (r *rollout) rescaled() bool {
	return slices.ContainsFunc(active(r.all()), func(s *appsv1.ReplicaSet) bool {
		told, ok := number(s, desiredAnnotation)
		return ok && told != r.want()
	})
}

// number reads a number that a set was told.
func number(s *appsv1.ReplicaSet, annotation string) (int, bool) {
	n, err := strconv.ParseInt(s.Annotations[annotation], 10, 32)
	return int(n), err == nil
}

// scale returns what each set is to have when the number of pods that are wanted has
// changed, in the middle of a rolling update or not.
func (r *rollout) scale() []scaling {
	if s := r.only(); s != nil {
		return []scaling{{s, r.want()}}
	}
	if r.saturated() {
		return none(r.old)
	}
	if !r.rolls() {
		return nil
	}
	return r.proportional()
}

// only is the set that has all pods, or the newest where none has any; nil where several
// have.
func (r *rollout) only() *appsv1.ReplicaSet {
	sets := active(r.all())
	switch {
	case len(sets) == 1:
		return sets[0]
	case len(sets) > 1:
		return nil
	case r.current != nil:
		return r.current
	case len(r.old) > 0:
		return r.old[len(r.old)-1]
	}
	return nil
}

// saturated tells whether the current set has all the pods that are wanted.
func (r *rollout) saturated() bool {
	if r.current == nil {
		return false
	}
	told, ok := number(r.current, desiredAnnotation)
	return ok && told == r.want() && size(r.current) == r.want() && int(r.current.Status.AvailableReplicas) == r.want()
}

// proportional spreads what is to come or to go over all sets that have pods, as large as
// each is; what is left by rounding goes to the largest.
func (r *rollout) proportional() []scaling {
	sets := active(r.all())
	allowed := 0
	if r.want() > 0 {
		allowed = r.most()
	}
	delta := allowed - total(sets)
	slices.SortFunc(sets, func(a, b *appsv1.ReplicaSet) int {
		byAge := older(a, b)
		if delta > 0 {
			byAge = -byAge
		}
		return cmp.Or(cmp.Compare(size(b), size(a)), byAge)
	})
	steps, left := make([]scaling, len(sets)), delta
	for i, s := range sets {
		part := r.share(s)
		if delta > 0 {
			part = min(part, left)
		} else {
			part = max(part, left)
		}
		if left == 0 {
			part = 0
		}
		to := min(max(size(s)+part, 0), math.MaxInt32)
		steps[i] = scaling{s, to}
		left -= to - size(s)
	}
	if len(steps) > 0 {
		steps[0].to = min(max(steps[0].to+left, 0), math.MaxInt32)
	}
	return steps
}

// share is by how much a set is to grow, or to shrink where it is less than zero: it
// keeps its part of all pods, of which it was told how many there could be.
func (r *rollout) share(s *appsv1.ReplicaSet) int {
	if r.want() == 0 {
		return -size(s)
	}
	before, ok := number(s, maxAnnotation)
	if !ok || before == 0 {
		if before = int(r.deployment.Status.Replicas); before == 0 {
			return 0
		}
	}
	return int(math.Round(float64(size(s))*float64(r.most())/float64(before))) - size(s)
}
