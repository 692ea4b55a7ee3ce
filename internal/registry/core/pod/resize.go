package pod

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/resources"
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
		was = resources.QOSClass(&old.Spec)
	}
	if resources.QOSClass(&p.Spec) != was {
		errs = append(errs, field.Invalid(spec, p.Status.QOSClass, "Pod QOS Class may not change as a result of resizing"))
	}
	if !resizable(&old.Status) {
		errs = append(errs, field.Forbidden(spec, "Pod running on node without support for resize"))
	}
	return append(errs, resources.ValidateResize(&p.Spec, &old.Spec, spec)...)
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
