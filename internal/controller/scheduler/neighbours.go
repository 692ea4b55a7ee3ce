package scheduler

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Why a node does not take a pod for the pods that are there.
const (
	notAttracted = "node(s) didn't match pod affinity rules"
	repelled     = "node(s) didn't match pod anti-affinity rules"
	unwelcome    = "node(s) didn't satisfy existing pods anti-affinity rules"
)

// term is one of a pod's terms about other pods.
type term struct {
	namespaces map[string]bool
	// ofNamespace selects further namespaces by their labels.
	ofNamespace labels.Selector
	selector    labels.Selector
	// key is the label of nodes that says what is one place.
	key    string
	weight int64
}

// termOf reads a term of a pod. What cannot be read selects nothing; validation has
// refused it.
func termOf(pod *corev1.Pod, t *corev1.PodAffinityTerm, weight int64) term {
	result := term{namespaces: map[string]bool{}, ofNamespace: selectorOf(t.NamespaceSelector), key: t.TopologyKey, weight: weight}
	for _, name := range t.Namespaces {
		result.namespaces[name] = true
	}
	if len(t.Namespaces) == 0 && t.NamespaceSelector == nil {
		result.namespaces[pod.Namespace] = true
	}
	result.selector = withKeys(selectorOf(t.LabelSelector), pod, t.MatchLabelKeys, selection.In)
	result.selector = withKeys(result.selector, pod, t.MismatchLabelKeys, selection.NotIn)
	return result
}

// selectorOf returns what a label selector selects; for none and for a malformed one that
// is nothing.
func selectorOf(s *metav1.LabelSelector) labels.Selector {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	return selector
}

// withKeys narrows a selector to the pod's own values of labels, or to others.
func withKeys(s labels.Selector, pod *corev1.Pod, keys []string, operator selection.Operator) labels.Selector {
	for _, key := range keys {
		value, ok := pod.Labels[key]
		if !ok {
			continue
		}
		if r, err := labels.NewRequirement(key, operator, []string{value}); err == nil {
			s = s.Add(*r)
		}
	}
	return s
}

func (t term) matches(pod *corev1.Pod, namespace func(string) labels.Set) bool {
	if !t.selector.Matches(labels.Set(pod.Labels)) {
		return false
	}
	return t.namespaces[pod.Namespace] || t.ofNamespace.Matches(namespace(pod.Namespace))
}

func requiredTerms(pod *corev1.Pod, all []corev1.PodAffinityTerm) (terms []term) {
	for i := range all {
		terms = append(terms, termOf(pod, &all[i], 1))
	}
	return terms
}

// attractsOf are the terms by which a pod has to be near others.
func attractsOf(pod *corev1.Pod) []term {
	if a := pod.Spec.Affinity; a != nil && a.PodAffinity != nil {
		return requiredTerms(pod, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	return nil
}

// repelsOf are the terms by which a pod keeps away from others, and others from it.
func repelsOf(pod *corev1.Pod) []term {
	if a := pod.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		return requiredTerms(pod, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	return nil
}

// place is the nodes that have one value of a label.
type place struct{ key, value string }

// neighbours is where a pod may be for the sake of others: how many pods of each place
// attract and repel it, and how many there does it not suit.
type neighbours struct {
	attracts, repels            []term
	attracted, repelled, feared map[place]int
	// first may be anywhere: it would be near itself.
	first bool
}

func (w world) neighboursOf(pod *corev1.Pod) neighbours {
	n := neighbours{
		attracts: attractsOf(pod), repels: repelsOf(pod),
		attracted: map[place]int{}, repelled: map[place]int{}, feared: map[place]int{},
	}
	n.first = all(n.attracts, pod, w.namespace)
	for _, c := range w.nodes {
		count := func(places map[place]int, key string) {
			if value, ok := c.node.Labels[key]; ok {
				places[place{key, value}]++
			}
		}
		for _, b := range c.pods {
			if len(n.attracts) > 0 && all(n.attracts, b.pod, w.namespace) {
				for _, t := range n.attracts {
					count(n.attracted, t.key)
				}
			}
			for _, t := range n.repels {
				if t.matches(b.pod, w.namespace) {
					count(n.repelled, t.key)
				}
			}
			for _, t := range b.repels {
				if t.matches(pod, w.namespace) {
					count(n.feared, t.key)
				}
			}
		}
	}
	return n
}

// all tells whether a pod matches every term.
func all(terms []term, pod *corev1.Pod, namespace func(string) labels.Set) bool {
	for _, t := range terms {
		if !t.matches(pod, namespace) {
			return false
		}
	}
	return true
}

func (n neighbours) against(node *corev1.Node) refusal {
	near := true
	for _, t := range n.attracts {
		value, ok := node.Labels[t.key]
		if !ok {
			return refusal{[]string{notAttracted}, true}
		}
		near = near && n.attracted[place{t.key, value}] > 0
	}
	if !near && (len(n.attracted) > 0 || !n.first) {
		return refusal{[]string{notAttracted}, true}
	}
	for _, t := range n.repels {
		if value, ok := node.Labels[t.key]; ok && n.repelled[place{t.key, value}] > 0 {
			return refusal{reasons: []string{repelled}}
		}
	}
	for p := range n.feared {
		if value, ok := node.Labels[p.key]; ok && value == p.value {
			return refusal{reasons: []string{unwelcome}}
		}
	}
	return refusal{}
}

// preferred says of each node how much the pod prefers the pods of its places.
func (w world) preferred(pod *corev1.Pod, fit []candidate) []int64 {
	values := make([]int64, len(fit))
	var terms []term
	weighted := func(all []corev1.WeightedPodAffinityTerm, sign int64) {
		for i := range all {
			terms = append(terms, termOf(pod, &all[i].PodAffinityTerm, sign*int64(all[i].Weight)))
		}
	}
	if a := pod.Spec.Affinity; a != nil && a.PodAffinity != nil {
		weighted(a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution, 1)
	}
	if a := pod.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		weighted(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution, -1)
	}
	for _, t := range terms {
		places := map[string]int64{}
		for _, c := range w.nodes {
			value, ok := c.node.Labels[t.key]
			for _, b := range c.pods {
				if ok && t.matches(b.pod, w.namespace) {
					places[value] += t.weight
				}
			}
		}
		for i, c := range fit {
			if value, ok := c.node.Labels[t.key]; ok {
				values[i] += places[value]
			}
		}
	}
	return values
}
