package daemonset

import (
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"laterna.dev/laterna/internal/controller/fit"
	"laterna.dev/laterna/internal/controller/workload"
)

// generationLabel has how often the set's template had been written when a pod was made.
const generationLabel = "pod-template-generation"

// newPod is the pod of a set for a node. The scheduler binds it: it may be nowhere else.
func newPod(set *appsv1.DaemonSet, node, hash string) *corev1.Pod {
	pod := workload.FromTemplate(&set.Spec.Template, set, kind)
	pod.Spec.Tolerations = tolerations(&pod.Spec)
	pin(&pod.Spec, node)
	pod.Labels = maps.Clone(pod.Labels)
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	if generation := set.Annotations[appsv1.DeprecatedTemplateGeneration]; generation != "" {
		pod.Labels[generationLabel] = generation
	}
	pod.Labels[appsv1.ControllerRevisionHashLabelKey] = hash
	return pod
}

// tolerations are those of a pod and those that every daemon has: it is there whatever
// the node's state, and goes with the node alone.
func tolerations(spec *corev1.PodSpec) []corev1.Toleration {
	all := slices.Clone(spec.Tolerations)
	add := func(key string, effect corev1.TaintEffect) {
		t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect}
		for i := range all {
			if all[i].MatchToleration(&t) {
				all[i] = t
				return
			}
		}
		all = append(all, t)
	}
	add(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute)
	add(corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute)
	add(corev1.TaintNodeDiskPressure, corev1.TaintEffectNoSchedule)
	add(corev1.TaintNodeMemoryPressure, corev1.TaintEffectNoSchedule)
	add(corev1.TaintNodePIDPressure, corev1.TaintEffectNoSchedule)
	add(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule)
	if spec.HostNetwork {
		add(corev1.TaintNodeNetworkUnavailable, corev1.TaintEffectNoSchedule)
	}
	return all
}

// pin lets a pod be on one node only, in the place of what else it requires of nodes,
// which the node satisfies.
func pin(spec *corev1.PodSpec, node string) {
	if spec.Affinity == nil {
		spec.Affinity = &corev1.Affinity{}
	}
	if spec.Affinity.NodeAffinity == nil {
		spec.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchFields: []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
	}}}
}

// nodeOf is the node that a pod is on or for, "" for a pod that was adopted and is for
// none.
func nodeOf(pod *corev1.Pod) string {
	a := pod.Spec.Affinity
	if pod.Spec.NodeName != "" || a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return pod.Spec.NodeName
	}
	for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, r := range term.MatchFields {
			if r.Key == metav1.ObjectNameField && r.Operator == corev1.NodeSelectorOpIn && len(r.Values) == 1 {
				return r.Values[0]
			}
		}
	}
	return ""
}

// placement decides of nodes whether a set's pods are to be on them.
type placement struct {
	name     string // of the only node, where the template has one
	pod      *corev1.Pod
	required nodeaffinity.RequiredNodeAffinity
}

func placementOf(set *appsv1.DaemonSet) placement {
	pod := &corev1.Pod{Spec: set.Spec.Template.Spec}
	pod.Spec.Tolerations = tolerations(&pod.Spec)
	return placement{set.Spec.Template.Spec.NodeName, pod, nodeaffinity.GetRequiredNodeAffinity(pod)}
}

// of tells whether there is to be a pod on a node, and whether one that is there may stay.
func (p placement) of(node *corev1.Node) (run, stay bool) {
	if p.name != "" && p.name != node.Name || !fit.Matches(p.required, node) {
		return false, false
	}
	stay = fit.Tolerated(p.pod, node, corev1.TaintEffectNoExecute)
	return stay && fit.Tolerated(p.pod, node, corev1.TaintEffectNoSchedule), stay
}
