package pod

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
	"laterna.dev/laterna/internal/registry/resource"
)

// ephemeralRules are those of pods/ephemeralcontainers, which adds ephemeral containers
// to a pod and changes nothing else of it.
func ephemeralRules() resource.Rules[*corev1.Pod] {
	return resource.Rules[*corev1.Pod]{
		PrepareUpdate:  func(_ context.Context, p, old *corev1.Pod) { prepareEphemeral(p, old) },
		ValidateUpdate: func(_ context.Context, p, old *corev1.Pod) field.ErrorList { return validateEphemeral(p, old) },
		WarnUpdate: func(_ context.Context, p, _ *corev1.Pod) []string {
			return podspec.Warnings(&p.ObjectMeta, &p.Spec, nil)
		},
		Reset: []string{"status"},
	}
}

func prepareEphemeral(p, old *corev1.Pod) {
	asked := p.Spec.EphemeralContainers
	p.Spec, p.Status = *old.Spec.DeepCopy(), old.Status
	p.Spec.EphemeralContainers = asked
	p.Labels, p.Annotations = maps.Clone(old.Labels), maps.Clone(old.Annotations)
	p.Finalizers, p.OwnerReferences = old.Finalizers, old.OwnerReferences
	if !apiequality.Semantic.DeepEqual(p.Spec, old.Spec) {
		p.Generation = old.Generation + 1
	}
}

func validateEphemeral(p, old *corev1.Pod) field.ErrorList {
	if _, static := old.Annotations[corev1.MirrorPodAnnotationKey]; static {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "static pods do not support ephemeral containers")}
	}
	errs := validatePod(p, podspec.Options{Volumes: volumes.Options{AnyTokenPath: hasForeignTokenPath(&old.Spec)}})
	path := field.NewPath("spec", "ephemeralContainers")
	now := map[string]*corev1.EphemeralContainer{}
	for i := range p.Spec.EphemeralContainers {
		now[p.Spec.EphemeralContainers[i].Name] = &p.Spec.EphemeralContainers[i]
	}
	for i := range old.Spec.EphemeralContainers {
		before := &old.Spec.EphemeralContainers[i]
		switch c := now[before.Name]; {
		case c == nil:
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("existing ephemeral containers %q may not be removed\n", before.Name)))
		case !apiequality.Semantic.DeepEqual(c, before):
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("existing ephemeral containers %q may not be changed\n%v", before.Name, changed(before, c))))
		}
	}
	return errs
}

// changed shows what differs, unless to find it would take too long.
func changed(before, now *corev1.EphemeralContainer) string {
	if before.Size()+now.Size() > maxCompared {
		return "(the container is too large to show what has changed)"
	}
	return diff.Diff(before, now)
}
