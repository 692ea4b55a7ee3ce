package scheduling

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// renamed are labels of nodes that have got other names, and what is said of the old.
var renamed = map[string]string{
	"beta.kubernetes.io/arch":                  `deprecated since v1.14; use "kubernetes.io/arch" instead`,
	"beta.kubernetes.io/os":                    `deprecated since v1.14; use "kubernetes.io/os" instead`,
	"failure-domain.beta.kubernetes.io/region": `deprecated since v1.17; use "topology.kubernetes.io/region" instead`,
	"failure-domain.beta.kubernetes.io/zone":   `deprecated since v1.17; use "topology.kubernetes.io/zone" instead`,
	"beta.kubernetes.io/instance-type":         `deprecated since v1.17; use "node.kubernetes.io/instance-type" instead`,
}

const noPod = "a null labelSelector results in matching no pod"

// RenamedLabel returns what is said of a label of nodes that has got another name; ok is
// false for every other label.
func RenamedLabel(key string) (message string, ok bool) {
	message, ok = renamed[key]
	return message, ok
}

// LabelWarnings returns what in a spec, which is at path, names labels of nodes that are
// no more, and spreads over no pods.
func LabelWarnings(spec *corev1.PodSpec, path *field.Path) []string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(spec.NodeSelector)) {
		if message, ok := renamed[key]; ok {
			texts = append(texts, fmt.Sprintf("%s: %s", path.Child("nodeSelector").Key(key), message))
		}
	}
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil {
		texts = append(texts, nodeAffinityWarnings(a.NodeAffinity, path.Child("affinity", "nodeAffinity"))...)
	}
	for i, c := range spec.TopologySpreadConstraints {
		at := path.Child("topologySpreadConstraints").Index(i)
		if message, ok := renamed[c.TopologyKey]; ok {
			texts = append(texts, fmt.Sprintf("%s: %s is %s", at.Child("topologyKey"), c.TopologyKey, message))
		}
		if c.LabelSelector == nil {
			texts = append(texts, fmt.Sprintf("%s: %s", at.Child("labelSelector"), noPod))
		}
	}
	return texts
}

func nodeAffinityWarnings(a *corev1.NodeAffinity, path *field.Path) []string {
	var texts []string
	if s := a.RequiredDuringSchedulingIgnoredDuringExecution; s != nil {
		for i := range s.NodeSelectorTerms {
			texts = append(texts, termWarnings(&s.NodeSelectorTerms[i], false, path.Child(requiredTerms, "nodeSelectorTerms").Index(i))...)
		}
	}
	for i := range a.PreferredDuringSchedulingIgnoredDuringExecution {
		term := &a.PreferredDuringSchedulingIgnoredDuringExecution[i].Preference
		texts = append(texts, termWarnings(term, true, path.Child(preferredTerms).Index(i).Child("preference"))...)
	}
	return texts
}

// termWarnings looks at values only where validation does not refuse them.
func termWarnings(term *corev1.NodeSelectorTerm, values bool, path *field.Path) []string {
	var texts []string
	for i, r := range term.MatchExpressions {
		at := path.Child("matchExpressions").Index(i)
		if message, ok := renamed[r.Key]; ok {
			texts = append(texts, fmt.Sprintf("%s: %s is %s", at.Child("key"), r.Key, message))
		}
		if !values {
			continue
		}
		for j, value := range r.Values {
			for _, message := range validation.IsValidLabelValue(value) {
				texts = append(texts, fmt.Sprintf("%s: %s is invalid, %s", at.Child("values").Index(j), value, message))
			}
		}
	}
	return texts
}

// AffinityWarnings returns the terms of affinity to pods, at path, that match none.
func AffinityWarnings(a *corev1.Affinity, path *field.Path) []string {
	if a == nil {
		return nil
	}
	var texts []string
	check := func(selects bool, at *field.Path) {
		if !selects {
			texts = append(texts, fmt.Sprintf("%s: %s", at.Child("labelSelector"), noPod))
		}
	}
	look := func(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm, at *field.Path) {
		for i, t := range required {
			check(t.LabelSelector != nil, at.Child(requiredTerms).Index(i))
		}
		for i, t := range preferred {
			check(t.PodAffinityTerm.LabelSelector != nil, at.Child(preferredTerms).Index(i).Child("podAffinityTerm"))
		}
	}
	if p := a.PodAffinity; p != nil {
		look(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, path.Child("podAffinity"))
	}
	if p := a.PodAntiAffinity; p != nil {
		look(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, path.Child("podAntiAffinity"))
	}
	return texts
}
