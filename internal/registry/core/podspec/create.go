package podspec

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// PrepareCreate turns what a new pod says in old ways into what is stored, and returns
// the warnings of that: Warnings does not see the old ways any more.
func PrepareCreate(pod *corev1.Pod) []string {
	return leastGrace(&pod.Spec)
}

const negativeGrace = "must be >= 0; negative values are invalid and will be treated as 1"

// leastGrace gives pods that ask for less than no time to end one second.
func leastGrace(spec *corev1.PodSpec) []string {
	if g := spec.TerminationGracePeriodSeconds; g == nil || *g >= 0 {
		return nil
	}
	least := int64(1)
	spec.TerminationGracePeriodSeconds = &least
	return []string{field.NewPath("spec", "terminationGracePeriodSeconds").String() + ": " + negativeGrace}
}
