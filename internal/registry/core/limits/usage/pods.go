package usage

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/admission"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	resourcehelper "k8s.io/component-helpers/resource"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/registry/core/podspec/resources"
)

// devicePrefix begins the names of what is had by classes of devices.
const devicePrefix = "deviceclass.resource.kubernetes.io/"

func pods(in func(schema.GroupResource) generic.ListFuncByNamespace, wall clock.Wall) quota.Evaluator {
	r := corev1.Resource("pods")
	plain := oneOf(count(r), corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage,
		corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage,
		corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage, corev1.ResourcePods)
	return &counted[*corev1.Pod]{
		resource: r, list: in(r), in: podInScope, demands: demands,
		named: func(n corev1.ResourceName) bool { return plain(n) || hugePages(n) || ofExtended(n) },
		charged: func(a admission.Attributes, pod, old *corev1.Pod) bool {
			switch a.GetSubresource() {
			case "":
				return a.GetOperation() == admission.Create || a.GetOperation() == admission.Update && terminating(pod) != terminating(old)
			case "resize":
				return a.GetOperation() == admission.Update
			}
			return false
		},
		uses: func(p *corev1.Pod) corev1.ResourceList { return podUses(p, wall) },
	}
}

func hugePages(n corev1.ResourceName) bool {
	return strings.HasPrefix(string(n), corev1.ResourceHugePagesPrefix) || strings.HasPrefix(string(n), corev1.ResourceRequestsHugePagesPrefix)
}

// ofExtended tells whether a quota limits so what devices and vendors give.
func ofExtended(n corev1.ResourceName) bool {
	name, requested := strings.CutPrefix(string(n), corev1.DefaultResourceRequestsPrefix)
	foreign := strings.Contains(name, "/") && !strings.Contains(string(n), corev1.ResourceDefaultNamespacePrefix)
	return requested && (foreign || strings.HasPrefix(name, devicePrefix))
}

// extended tells whether a container asks so for what devices and vendors give.
func extended(n corev1.ResourceName) bool {
	return !strings.HasPrefix(string(n), corev1.DefaultResourceRequestsPrefix) && ofExtended(corev1.DefaultResourceRequestsPrefix+n)
}

// podUses: every pod is counted as an object, its resources while it may run.
func podUses(p *corev1.Pod, wall clock.Wall) corev1.ResourceList {
	used := corev1.ResourceList{count(corev1.Resource("pods")): number(1)}
	if Ended(p, wall.Now()) {
		return used
	}
	o := resourcehelper.PodResourcesOptions{UseStatusResources: true}
	return quota.Add(used, amounts(resourcehelper.PodRequests(p, o), resourcehelper.PodLimits(p, o)))
}

// Ended tells whether a pod runs no more, or would not if its node told.
func Ended(p *corev1.Pod, now time.Time) bool {
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		return true
	}
	return p.DeletionTimestamp != nil && p.DeletionGracePeriodSeconds != nil &&
		now.After(p.DeletionTimestamp.Add(time.Duration(*p.DeletionGracePeriodSeconds)*time.Second))
}

// amounts names requests and limits as quotas do.
func amounts(requests, limits corev1.ResourceList) corev1.ResourceList {
	named := corev1.ResourceList{corev1.ResourcePods: number(1)}
	for n, q := range requests {
		switch {
		case n == corev1.ResourceCPU, n == corev1.ResourceMemory, n == corev1.ResourceEphemeralStorage, strings.HasPrefix(string(n), corev1.ResourceHugePagesPrefix):
			named[n], named[corev1.DefaultResourceRequestsPrefix+n] = q, q
		case extended(n):
			named[corev1.DefaultResourceRequestsPrefix+n] = q
		}
	}
	for _, n := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if q, ok := limits[n]; ok {
			named["limits."+n] = q
		}
	}
	return named
}

// demands: each container says what it takes of CPU and memory where a quota limits it,
// unless the pod says so for all.
func demands(required []corev1.ResourceName, p *corev1.Pod) error {
	if resourcehelper.IsPodLevelResourcesSet(p) {
		return nil
	}
	must := oneOf(corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory)
	missing := map[corev1.ResourceName][]string{}
	for _, c := range podfields.DeclaredContainers(&p.Spec) {
		said := amounts(c.Resources.Requests, c.Resources.Limits)
		for _, n := range required {
			if _, ok := said[n]; !ok && must(n) {
				missing[n] = append(missing[n], c.Name)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var parts []string
	for _, n := range slices.Sorted(maps.Keys(missing)) {
		slices.Sort(missing[n])
		parts = append(parts, fmt.Sprintf("%s for: %s", n, strings.Join(missing[n], ",")))
	}
	return fmt.Errorf("must specify %s", strings.Join(parts, "; "))
}

func terminating(p *corev1.Pod) bool {
	return p.Spec.ActiveDeadlineSeconds != nil && *p.Spec.ActiveDeadlineSeconds >= 0
}

func podInScope(s corev1.ScopedResourceSelectorRequirement, p *corev1.Pod) (bool, error) {
	switch s.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return terminating(p), nil
	case corev1.ResourceQuotaScopeNotTerminating:
		return !terminating(p), nil
	case corev1.ResourceQuotaScopeBestEffort:
		return resources.QOSClass(&p.Spec) == corev1.PodQOSBestEffort, nil
	case corev1.ResourceQuotaScopeNotBestEffort:
		return resources.QOSClass(&p.Spec) != corev1.PodQOSBestEffort, nil
	case corev1.ResourceQuotaScopePriorityClass:
		return selects(s, p.Spec.PriorityClassName)
	case corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return acrossNamespaces(p.Spec.Affinity), nil
	}
	return false, nil
}

// selects tells whether a requirement holds for one of the classes that an object names.
func selects(s corev1.ScopedResourceSelectorRequirement, named ...string) (bool, error) {
	operator, ok := map[corev1.ScopeSelectorOperator]selection.Operator{
		corev1.ScopeSelectorOpIn: selection.In, corev1.ScopeSelectorOpNotIn: selection.NotIn,
		corev1.ScopeSelectorOpExists: selection.Exists, corev1.ScopeSelectorOpDoesNotExist: selection.DoesNotExist,
	}[s.Operator]
	if !ok {
		return false, fmt.Errorf("%q is not a valid scope selector operator", s.Operator)
	}
	r, err := labels.NewRequirement(string(s.ScopeName), operator, s.Values)
	if err != nil {
		return false, fmt.Errorf("failed to parse and convert selector: %w", err)
	}
	named = slices.DeleteFunc(slices.Clone(named), func(n string) bool { return n == "" })
	if len(named) == 0 {
		return r.Matches(labels.Set{}), nil
	}
	return slices.ContainsFunc(named, func(n string) bool { return r.Matches(labels.Set{string(s.ScopeName): n}) }), nil
}

// acrossNamespaces tells whether a pod wants to be near, or far from, pods of others.
func acrossNamespaces(a *corev1.Affinity) bool {
	if a == nil {
		return false
	}
	var terms []corev1.PodAffinityTerm
	add := func(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
		terms = append(terms, required...)
		for _, p := range preferred {
			terms = append(terms, p.PodAffinityTerm)
		}
	}
	if p := a.PodAffinity; p != nil {
		add(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if p := a.PodAntiAffinity; p != nil {
		add(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	return slices.ContainsFunc(terms, func(t corev1.PodAffinityTerm) bool { return len(t.Namespaces) > 0 || t.NamespaceSelector != nil })
}
