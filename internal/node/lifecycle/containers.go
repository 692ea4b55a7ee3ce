package lifecycle

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/podfields"
)

// Role is the part that a container has in its pod.
type Role int

// The roles, in the order in which a pod needs them.
const (
	// Init runs to its end before the containers after it start.
	Init Role = iota
	// Sidecar is started in the order of init containers and runs on.
	Sidecar
	// Main is one of the pod's own containers.
	Main
	// Ephemeral is added to a pod that runs, to look into it.
	Ephemeral
)

// Container is a container of a pod's spec with its role.
type Container struct {
	Role Role
	// Spec is the spec's own, not a copy.
	Spec *corev1.Container
}

// Containers lists all containers of a spec in the order of their roles, and within a
// role in the spec's. Sidecars stand among the init containers, as in the spec.
func Containers(spec *corev1.PodSpec) []Container {
	var out []Container
	for at, c := range podfields.Containers(spec) {
		out = append(out, Container{roleOf(at.List, c), c})
	}
	return out
}

func roleOf(list podfields.List, c *corev1.Container) Role {
	switch {
	case list == podfields.Ephemeral:
		return Ephemeral
	case list == podfields.Main:
		return Main
	case podfields.Sidecar(c):
		return Sidecar
	}
	return Init
}

// Only lists the containers of some roles, in their order.
func Only(spec *corev1.PodSpec, roles ...Role) []Container {
	return slices.DeleteFunc(Containers(spec), func(c Container) bool { return !slices.Contains(roles, c.Role) })
}

// Find returns the container of a name, nil when there is none.
func Find(spec *corev1.PodSpec, name string) *corev1.Container {
	return podfields.Container(spec, name)
}

// Reported is the status of a container of any role as a pod's status has it, nil when
// there is none.
func Reported(s *corev1.PodStatus, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses, s.EphemeralContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// With is pod with another spec of one of its containers, which it is told by its name;
// the rest is shared.
func With(pod *corev1.Pod, c *corev1.Container) *corev1.Pod {
	out := *pod
	out.Spec.InitContainers = slices.Clone(pod.Spec.InitContainers)
	out.Spec.Containers = slices.Clone(pod.Spec.Containers)
	for at, k := range podfields.DeclaredContainers(&out.Spec) {
		if k.Name != c.Name {
			continue
		}
		if at.List == podfields.Init {
			out.Spec.InitContainers[at.Index] = *c
		} else {
			out.Spec.Containers[at.Index] = *c
		}
	}
	return &out
}

// Target is the name of the container whose processes an ephemeral container shares, ""
// when there is none, or when the whole pod shares them anyway.
func Target(spec *corev1.PodSpec, name string) string {
	if spec.HostPID || spec.ShareProcessNamespace != nil && *spec.ShareProcessNamespace {
		return ""
	}
	for _, c := range spec.EphemeralContainers {
		if c.Name == name {
			return c.TargetContainerName
		}
	}
	return ""
}
