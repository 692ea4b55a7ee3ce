package projection

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
)

// containers yields the containers of a pod, init containers first and ephemeral ones,
// with the fields that they share with the others, last. This package is for programs of
// others and stands on no package of the program's, so the walk is here once more.
func containers(spec *corev1.PodSpec) iter.Seq[*corev1.Container] {
	return func(yield func(*corev1.Container) bool) {
		for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
			for i := range list {
				if !yield(&list[i]) {
					return
				}
			}
		}
		for i := range spec.EphemeralContainers {
			if !yield((*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon)) {
				return
			}
		}
	}
}
