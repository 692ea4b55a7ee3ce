package resources

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/podfields"
)

// ValidateResize refuses what changes more of a pod that runs than how much CPU and memory
// it and its containers ask for, and what takes a request or limit away (KEP-1287).
func ValidateResize(now, old *corev1.PodSpec, spec *field.Path) field.ErrorList {
	errs := validatePodLevelResize(now.Resources, old.Resources, spec)
	if other := validateSameContainers(now, old, spec); len(other) > 0 {
		return append(errs, other...)
	}
	for at, c := range podfields.DeclaredContainers(now) {
		before := containerAt(old, at)
		errs = append(errs, validateNothingRemoved(&c.Resources, &before.Resources, "resource ",
			spec.Child(string(at.List)).Index(at.Index).Child("resources"))...)
	}
	return append(errs, validateOnlyResources(now, old, spec)...)
}

// containerAt is the container at a place that a spec has.
func containerAt(spec *corev1.PodSpec, at podfields.Place) *corev1.Container {
	if at.List == podfields.Init {
		return &spec.InitContainers[at.Index]
	}
	return &spec.Containers[at.Index]
}

// validateSameContainers refuses what is not a resize of the containers that there are.
func validateSameContainers(now, old *corev1.PodSpec, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, list := range []struct {
		name     string
		now, old []corev1.Container
	}{{"containers", now.Containers, old.Containers}, {"initContainers", now.InitContainers, old.InitContainers}} {
		path := spec.Child(list.name)
		if len(list.now) != len(list.old) {
			errs = append(errs, field.Forbidden(path, list.name+" may not be added or removed on resize"))
			continue
		}
		for i := range list.old {
			if list.now[i].Name != list.old[i].Name {
				errs = append(errs, field.Forbidden(path.Index(i).Child("name"), list.name+" may not be renamed or reordered on resize"))
			}
		}
	}
	return errs
}

// validatePodLevelResize checks spec.resources. Either may be nil.
func validatePodLevelResize(now, old *corev1.ResourceRequirements, spec *field.Path) field.ErrorList {
	if old == nil && now == nil {
		return nil
	}
	if now == nil {
		return field.ErrorList{field.Forbidden(spec.Child("resources"), "pod-level resources cannot be removed")}
	}
	if old == nil {
		old = &corev1.ResourceRequirements{}
	}
	errs := validateNothingRemoved(now, old, "pod-level resource ", spec.Child("resources"))
	if !sameButCPUAndMemory(now, old) {
		errs = append(errs, field.Forbidden(spec, "only cpu and memory resources are mutable at pod-level"))
	}
	return errs
}

// validateNothingRemoved refuses that a request or limit goes; what names whose they are.
func validateNothingRemoved(now, old *corev1.ResourceRequirements, what string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, list := range []struct {
		name     string
		now, old corev1.ResourceList
	}{{"requests", now.Requests, old.Requests}, {"limits", now.Limits, old.Limits}} {
		for name := range list.old {
			if _, ok := list.now[name]; !ok {
				errs = append(errs, field.Forbidden(path.Child(list.name), what+list.name+" cannot be removed"))
				break
			}
		}
	}
	return errs
}

// validateOnlyResources refuses what changes more than CPU and memory. The containers are
// the same.
func validateOnlyResources(now, old *corev1.PodSpec, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	rest := now.DeepCopy()
	rest.Resources = old.Resources
	for at, c := range podfields.DeclaredContainers(rest) {
		before := containerAt(old, at)
		same := sameButCPUAndMemory(&c.Resources, &before.Resources)
		c.Resources = before.Resources
		if same && apiequality.Semantic.DeepEqual(c, before) {
			continue
		}
		switch {
		case at.List != podfields.Init:
			errs = append(errs, field.Forbidden(spec, "only cpu and memory resources are mutable"))
		case podfields.Sidecar(c):
			errs = append(errs, field.Forbidden(spec, "only cpu and memory resources for sidecar containers are mutable"))
		default:
			errs = append(errs, field.Forbidden(spec, "only cpu and memory resources for init containers are mutable"))
		}
	}
	if len(errs) == 0 && !apiequality.Semantic.DeepEqual(rest, old) {
		errs = append(errs, field.Forbidden(spec, "only cpu and memory resources are mutable"))
	}
	return errs
}

// sameButCPUAndMemory compares what a resize may not change.
func sameButCPUAndMemory(a, b *corev1.ResourceRequirements) bool {
	return apiequality.Semantic.DeepEqual(withoutCPUAndMemory(a), withoutCPUAndMemory(b))
}

func withoutCPUAndMemory(r *corev1.ResourceRequirements) corev1.ResourceRequirements {
	out := *r
	out.Limits, out.Requests = maps.Clone(r.Limits), maps.Clone(r.Requests)
	for _, list := range []corev1.ResourceList{out.Limits, out.Requests} {
		delete(list, corev1.ResourceCPU)
		delete(list, corev1.ResourceMemory)
	}
	return out
}
