package deployment

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// rollout is a Deployment and its ReplicaSets, of which current has its template and old
// have others, the oldest first. current is nil where there is none yet.
type rollout struct {
	// deployment is a copy: its status and annotations are changed as things are done.
	deployment *appsv1.Deployment
	current    *appsv1.ReplicaSet
	old        []*appsv1.ReplicaSet
}

func newRollout(d *appsv1.Deployment, sets []*appsv1.ReplicaSet) *rollout {
	sets = slices.Clone(sets)
	slices.SortFunc(sets, older)
	r := &rollout{deployment: d}
	for _, s := range sets {
		if r.current == nil && sameTemplate(&s.Spec.Template, &d.Spec.Template) {
			r.current = s
		} else {
			r.old = append(r.old, s)
		}
	}
	return r
}

// older puts the set first that was made first.
func older(a, b *appsv1.ReplicaSet) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// sameTemplate tells whether pods of two templates are alike but for the label that says
// of which template they are.
func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	x, y := *a, *b
	x.Labels, y.Labels = without(a.Labels), without(b.Labels)
	return apiequality.Semantic.DeepEqual(x, y)
}

// without are labels but for that of the template.
func without(labels map[string]string) map[string]string {
	rest := make(map[string]string, len(labels))
	for k, v := range labels {
		if k != appsv1.DefaultDeploymentUniqueLabelKey {
			rest[k] = v
		}
	}
	return rest
}

// all returns all sets, the current one last.
func (r *rollout) all() []*appsv1.ReplicaSet {
	all := slices.Clone(r.old)
	if r.current != nil {
		all = append(all, r.current)
	}
	return all
}

// replace takes a set as it was written in the place of what it was.
func (r *rollout) replace(stored *appsv1.ReplicaSet) {
	if r.current != nil && r.current.UID == stored.UID {
		r.current = stored
	}
	for i := range r.old {
		if r.old[i].UID == stored.UID {
			r.old[i] = stored
		}
	}
}

// want is how many pods the deployment is to have.
func (r *rollout) want() int { return int(ptr.Deref(r.deployment.Spec.Replicas, 1)) }

func (r *rollout) rolls() bool {
	return r.deployment.Spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType
}

// size is how many pods a set is to have.
func size(s *appsv1.ReplicaSet) int { return int(ptr.Deref(s.Spec.Replicas, 1)) }

// active are the sets that are to have pods.
func active(sets []*appsv1.ReplicaSet) []*appsv1.ReplicaSet {
	return slices.DeleteFunc(slices.Clone(sets), func(s *appsv1.ReplicaSet) bool { return size(s) == 0 })
}

// total is how many pods sets are to have.
func total(sets []*appsv1.ReplicaSet) (n int) {
	for _, s := range sets {
		n += size(s)
	}
	return n
}

func available(sets []*appsv1.ReplicaSet) (n int) {
	for _, s := range sets {
		n += int(s.Status.AvailableReplicas)
	}
	return n
}

// scaling is a set and how many pods it is to have from now on.
type scaling struct {
	set *appsv1.ReplicaSet
	to  int
}

// oldRun tells whether pods of old sets may still run. podsOf are the pods of a set, of
// which those that end may be unknown to the set.
func (r *rollout) oldRun(podsOf func(set types.UID) []*corev1.Pod) bool {
	for _, s := range r.old {
		if s.Status.Replicas > 0 {
			return true
		}
		for _, p := range podsOf(s.UID) {
			if p.Status.Phase != corev1.PodFailed && p.Status.Phase != corev1.PodSucceeded {
				return true
			}
		}
	}
	return false
}
