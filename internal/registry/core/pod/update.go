package pod

import (
	"fmt"
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
)

// updatable names the fields that an update may change, as the message lists them.
var updatable = []string{
	"`spec.containers[*].image`",
	"`spec.initContainers[*].image`",
	"`spec.activeDeadlineSeconds`",
	"`spec.tolerations` (only additions to existing tolerations)",
	"`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
}

// validateUpdate returns what is wrong with p as the successor of old, beyond the
// object metadata.
func validateUpdate(p, old *corev1.Pod) field.ErrorList {
	errs := validatePod(p, podspec.Options{Volumes: volumes.Options{AnyTokenPath: hasForeignTokenPath(&old.Spec)}})
	errs = append(errs, validateAnnotationUpdate(p, old)...)
	errs = append(errs, validateOnUpdate(p, old)...)
	path := field.NewPath("spec")
	for _, list := range []struct {
		name          string
		now, previous []corev1.Container
	}{{"containers", p.Spec.Containers, old.Spec.Containers}, {"initContainers", p.Spec.InitContainers, old.Spec.InitContainers}} {
		if len(list.now) != len(list.previous) {
			return append(errs, field.Forbidden(path.Child(list.name), "pod updates may not add or remove containers"))
		}
	}
	deadline, stop := validateDeadline(p, old, path.Child("activeDeadlineSeconds"))
	errs = append(errs, deadline...)
	if stop {
		return errs
	}
	errs = append(errs, onlyAddedTolerations(p.Spec.Tolerations, old.Spec.Tolerations, path.Child("tolerations"))...)
	errs = append(errs, onlyRemovedGates(p.Spec.SchedulingGates, old.Spec.SchedulingGates, path.Child("schedulingGates"))...)
	return append(errs, validateRest(p, old, path)...)
}

// hasForeignTokenPath is true when a stored spec has a token path that new specs
// may not have.
func hasForeignTokenPath(spec *corev1.PodSpec) bool {
	for _, v := range spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if t := s.ServiceAccountToken; t != nil && (strings.HasPrefix(t.Path, "/") || strings.HasPrefix(t.Path, "..") || strings.Contains(t.Path, "/..")) {
				return true
			}
		}
	}
	return false
}

// validateDeadline lets a deadline be set and come nearer. stop is true when the
// rest of the update is not worth looking at.
func validateDeadline(p, old *corev1.Pod, path *field.Path) (errs field.ErrorList, stop bool) {
	now, before := p.Spec.ActiveDeadlineSeconds, old.Spec.ActiveDeadlineSeconds
	switch {
	case now == nil && before == nil:
		return nil, false
	case now == nil:
		return field.ErrorList{field.Invalid(path, now, "must not update from a positive integer to nil value")}, false
	case *now < 0 || *now > math.MaxInt32:
		return field.ErrorList{field.Invalid(path, *now, validation.InclusiveRangeError(0, math.MaxInt32))}, true
	case before != nil && *before < *now:
		return field.ErrorList{field.Invalid(path, *now, "must be less than or equal to previous value")}, true
	}
	return nil, false
}

func onlyAddedTolerations(now, old []corev1.Toleration, path *field.Path) field.ErrorList {
	// The seconds of a toleration may change; all else of it can be compared.
	there := map[corev1.Toleration]bool{}
	for _, t := range now {
		t.TolerationSeconds = nil
		there[t] = true
	}
	for _, before := range old {
		before.TolerationSeconds = nil
		if !there[before] {
			return field.ErrorList{field.Forbidden(path, "existing toleration can not be modified except its tolerationSeconds")}
		}
	}
	return nil
}

func onlyRemovedGates(now, old []corev1.PodSchedulingGate, path *field.Path) field.ErrorList {
	before := map[string]bool{}
	for _, gate := range old {
		before[gate.Name] = true
	}
	var errs field.ErrorList
	for i, gate := range now {
		if !before[gate.Name] {
			errs = append(errs, field.Forbidden(path.Index(i).Child("name"), fmt.Sprintf("only deletion is allowed, but found new scheduling gate '%s'", gate.Name)))
		}
	}
	return errs
}

// validateRest requires all but the updatable fields to be as they were.
func validateRest(p, old *corev1.Pod, path *field.Path) field.ErrorList {
	if apiequality.Semantic.DeepEqual(p.Spec, old.Spec) {
		return nil
	}
	spec := p.Spec.DeepCopy()
	keepUpdatable(spec, &old.Spec)
	var errs field.ErrorList
	if len(old.Spec.SchedulingGates) > 0 {
		errs = keepGated(spec, &old.Spec, path)
	}
	if !apiequality.Semantic.DeepEqual(*spec, old.Spec) {
		errs = append(errs, field.Forbidden(path, fmt.Sprintf("pod updates may not change fields other than %s\n%v",
			strings.Join(updatable, ","), difference(&old.Spec, spec))))
	}
	return errs
}

// maxCompared is the size of specs, in bytes as they are stored, whose difference is
// shown: to find it takes time that grows with the square of the size.
const maxCompared = 64 << 10

func difference(old, now *corev1.PodSpec) string {
	if old.Size()+now.Size() > maxCompared {
		return "(the pod is too large to show what has changed)"
	}
	return diff.Diff(*old, *now)
}

// keepUpdatable sets the fields of spec that an update may change back to old's.
func keepUpdatable(spec, old *corev1.PodSpec) {
	for i := range spec.Containers {
		spec.Containers[i].Image = old.Containers[i].Image
	}
	for i := range spec.InitContainers {
		spec.InitContainers[i].Image = old.InitContainers[i].Image
	}
	spec.ActiveDeadlineSeconds = old.ActiveDeadlineSeconds
	spec.SchedulingGates = old.SchedulingGates
	spec.Tolerations = old.Tolerations
	if g := old.TerminationGracePeriodSeconds; g != nil && *g < 0 &&
		spec.TerminationGracePeriodSeconds != nil && *spec.TerminationGracePeriodSeconds == 1 {
		spec.TerminationGracePeriodSeconds = g
	}
}

// keepGated does the same for what may change while a pod is gated: its node
// selector and required node affinity may become narrower.
func keepGated(spec, old *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if !apiequality.Semantic.DeepEqual(spec.NodeSelector, old.NodeSelector) {
		for key, value := range old.NodeSelector {
			if now, ok := spec.NodeSelector[key]; !ok || now != value {
				errs = append(errs, field.Invalid(path.Child("nodeSelector"), spec.NodeSelector, "only additions to spec.nodeSelector are allowed (no mutations or deletions)"))
				break
			}
		}
		spec.NodeSelector = old.NodeSelector
	}
	now, before := nodeAffinity(spec), nodeAffinity(old)
	if apiequality.Semantic.DeepEqual(now, before) {
		return errs
	}
	errs = append(errs, narrowerAffinity(now, before, path.Child("affinity", "nodeAffinity"))...)
	switch {
	case spec.Affinity == nil:
		spec.Affinity = &corev1.Affinity{NodeAffinity: before}
	case old.Affinity == nil && spec.Affinity.PodAffinity == nil && spec.Affinity.PodAntiAffinity == nil:
		spec.Affinity = nil
	default:
		spec.Affinity.NodeAffinity = before
	}
	return errs
}

func nodeAffinity(spec *corev1.PodSpec) *corev1.NodeAffinity {
	if spec.Affinity == nil {
		return nil
	}
	return spec.Affinity.NodeAffinity
}

// narrowerAffinity requires the terms that a node must match to be those of before,
// each with requirements added at most.
func narrowerAffinity(now, before *corev1.NodeAffinity, path *field.Path) field.ErrorList {
	if before == nil || before.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	required := path.Child("requiredDuringSchedulingIgnoredDuringExecution")
	terms := required.Child("nodeSelectorTerms")
	old := before.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if len(old) == 0 {
		return nil
	}
	var selector *corev1.NodeSelector
	if now != nil {
		selector = now.RequiredDuringSchedulingIgnoredDuringExecution
	}
	if selector == nil || len(selector.NodeSelectorTerms) != len(old) {
		return field.ErrorList{field.Invalid(terms, selector, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")}
	}
	var errs field.ErrorList
	for i := range old {
		errs = append(errs, narrowerTerm(&selector.NodeSelectorTerms[i], &old[i], terms.Index(i))...)
	}
	return errs
}

func narrowerTerm(now, old *corev1.NodeSelectorTerm, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, list := range []struct {
		name     string
		now, old []corev1.NodeSelectorRequirement
	}{{"matchExpressions", now.MatchExpressions, old.MatchExpressions}, {"matchFields", now.MatchFields, old.MatchFields}} {
		if len(list.old) > len(list.now) || !apiequality.Semantic.DeepEqual(list.old, list.now[:len(list.old)]) {
			errs = append(errs, field.Invalid(path.Child(list.name), list.now, "only additions are allowed (no mutations or deletions)"))
		}
	}
	return errs
}
