package podfields

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
)

// List is a field of a pod spec that holds containers, by its name in the API.
type List string

// The lists of containers of a pod spec.
const (
	Init      List = "initContainers"
	Main      List = "containers"
	Ephemeral List = "ephemeralContainers"
)

// Place is where a container stands in a pod spec.
type Place struct {
	List  List
	Index int
}

// Containers yields every container of a pod: init containers, containers, ephemeral
// containers with the fields that they share with the others. They are spec's own, not
// copies.
func Containers(spec *corev1.PodSpec) iter.Seq2[Place, *corev1.Container] {
	return func(yield func(Place, *corev1.Container) bool) {
		for at, c := range DeclaredContainers(spec) {
			if !yield(at, c) {
				return
			}
		}
		for i := range spec.EphemeralContainers {
			if !yield(Place{Ephemeral, i}, (*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon)) {
				return
			}
		}
	}
}

// DeclaredContainers is Containers without the ephemeral ones, which have no resources
// and ports and come after a pod was made.
func DeclaredContainers(spec *corev1.PodSpec) iter.Seq2[Place, *corev1.Container] {
	return func(yield func(Place, *corev1.Container) bool) {
		for i := range spec.InitContainers {
			if !yield(Place{Init, i}, &spec.InitContainers[i]) {
				return
			}
		}
		for i := range spec.Containers {
			if !yield(Place{Main, i}, &spec.Containers[i]) {
				return
			}
		}
	}
}

// Container returns the container of that name, or nil. Names are unique in a pod.
func Container(spec *corev1.PodSpec, name string) *corev1.Container {
	for _, c := range Containers(spec) {
		if c.Name == name {
			return c
		}
	}
	return nil
}
