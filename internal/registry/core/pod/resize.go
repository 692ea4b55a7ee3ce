package pod

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
	"laterna.dev/laterna/internal/registry/resource"
)

// resizeRules are those of pods/resize, which changes how much CPU and memory a pod and
// its containers ask for and nothing else of it (KEP-1287).
func resizeRules() resource.Rules[*corev1.Pod] {
	return resource.Rules[*corev1.Pod]{
		PrepareUpdate:  func(_ context.Context, p, old *corev1.Pod) { prepareResize(p, old) },
		ValidateUpdate: func(_ context.Context, p, old *corev1.Pod) field.ErrorList { return validateResize(p, old) },
		Reset:          []string{"status"},
	}
}

// prepareResize takes resources and resize policies of the request and leaves all else
// as it was. A request with other containers is left as it is, to be refused.
func prepareResize(p, old *corev1.Pod) {
	if len(p.Spec.Containers) != len(old.Spec.Containers) || len(p.Spec.InitContainers) != len(old.Spec.InitContainers) {
		return
	}
	asked := p.Spec
	p.Spec, p.Status = *old.Spec.DeepCopy(), old.Status
	p.Labels, p.Annotations = maps.Clone(old.Labels), maps.Clone(old.Annotations)
	p.Finalizers, p.OwnerReferences = old.Finalizers, old.OwnerReferences
	p.Spec.Resources = asked.Resources
	takeResources(p.Spec.Containers, asked.Containers)
	takeResources(p.Spec.InitContainers, asked.InitContainers)
	if !apiequality.Semantic.DeepEqual(p.Spec, old.Spec) {
		p.Generation = old.Generation + 1
	}
}

func takeResources(list, asked []corev1.Container) {
	for i := range list {
		list[i].Name = asked[i].Name
		list[i].Resources, list[i].ResizePolicy = asked[i].Resources, asked[i].ResizePolicy
	}
}

func validateResize(p, old *corev1.Pod) field.ErrorList {
	nowhere, spec := field.NewPath(""), field.NewPath("spec")
	if _, static := old.Annotations[corev1.MirrorPodAnnotationKey]; static {
		return field.ErrorList{field.Forbidden(nowhere, "static pods cannot be resized")}
	}
	if old.Spec.OS != nil && old.Spec.OS.Name == corev1.Windows {
		return field.ErrorList{field.Forbidden(nowhere, "windows pods cannot be resized")}
	}
	errs := validatePod(p, podspec.Options{Volumes: volumes.Options{AnyTokenPath: hasForeignTokenPath(&old.Spec)}})
	was := old.Status.QOSClass
	if was == "" {
		was = QOSClass(&old.Spec)
	}
	if QOSClass(&p.Spec) != was {
		errs = append(errs, field.Invalid(spec, p.Status.QOSClass, "Pod QOS Class may not change as a result of resizing"))
	}
	if !resizable(&old.Status) {
		errs = append(errs, field.Forbidden(spec, "Pod running on node without support for resize"))
	}
	errs = append(errs, validatePodLevelResize(p.Spec.Resources, old.Spec.Resources, spec)...)
	if other := validateSameContainers(&p.Spec, &old.Spec, spec); len(other) > 0 {
		return append(errs, other...)
	}
	for at, c := range podfields.DeclaredContainers(&p.Spec) {
		before := podfields.Container(&old.Spec, c.Name)
		errs = append(errs, validateNothingRemoved(&c.Resources, &before.Resources, "resource ",
			spec.Child(string(at.List)).Index(at.Index).Child("resources"))...)
	}
	return append(errs, validateOnlyResources(p, old, spec)...)
}

// resizable is false for a pod that runs on a node which does not tell what its
// containers have: such a node would not resize them.
func resizable(s *corev1.PodStatus) bool {
	for _, c := range s.ContainerStatuses {
		if c.State.Running != nil {
			return c.Resources != nil
		}
	}
	return true
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
func validateOnlyResources(p, old *corev1.Pod, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	rest := p.Spec.DeepCopy()
	rest.Resources = old.Spec.Resources
	for at, c := range podfields.DeclaredContainers(rest) {
		before := podfields.Container(&old.Spec, c.Name)
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
	if len(errs) == 0 && !apiequality.Semantic.DeepEqual(*rest, old.Spec) {
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
