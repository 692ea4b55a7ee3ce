package daemonset

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// pair is the new pod and the old one of a node.
type pair struct {
	fresh, old *corev1.Pod
	// more is true where there are several of one sort: the node is put right first.
	more bool
}

func (v view) pair(pods []*corev1.Pod) (p pair) {
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		at := &p.old
		if v.isNew(pod) {
			at = &p.fresh
		}
		p.more = p.more || *at != nil
		*at = pod
	}
	return p
}

// update brings a change of the template to further nodes.
func (v view) update(placement placement, p *plan) {
	runs := map[string]bool{}
	for _, node := range v.nodes {
		if run, _ := placement.of(node); run {
			runs[node.Name] = true
		}
	}
	pairs := map[string]pair{}
	for node := range runs {
		pairs[node] = pair{}
	}
	for node, pods := range v.pods {
		pairs[node] = v.pair(pods)
	}
	order := slices.Sorted(maps.Keys(pairs))
	unavailable, surge := v.bounds(len(runs))
	if surge == 0 {
		v.replace(order, pairs, unavailable, p)
	} else {
		v.surge(order, pairs, runs, surge, p)
	}
}

// replace deletes old pods, whose nodes get new ones then: those that serve nobody, and of
// the others as many as may be unavailable.
func (v view) replace(order []string, pairs map[string]pair, most int, p *plan) {
	missing := 0
	var candidates []*corev1.Pod
	for _, node := range order {
		switch at := pairs[node]; {
		case at.more || (at.fresh == nil) == (at.old == nil):
			missing++
		case at.fresh != nil:
			if !v.available(at.fresh) {
				missing++
			}
		case !v.available(at.old):
			missing++
			p.remove = append(p.remove, at.old)
		default:
			candidates = append(candidates, at.old)
		}
	}
	p.remove = append(p.remove, candidates[:min(max(most-missing, 0), len(candidates))]...)
}

// surge makes new pods beside old ones, and deletes old ones whose successors are
// available. Where the old one serves nobody, none is saved.
func (v view) surge(order []string, pairs map[string]pair, runs map[string]bool, most int, p *plan) {
	beside := 0
	var candidates []string
	for _, node := range order {
		switch at := pairs[node]; {
		case at.more:
			beside++
		case at.old == nil:
		case at.fresh == nil && !runs[node]:
		case at.fresh == nil && !v.available(at.old):
			p.make = append(p.make, node)
		case at.fresh == nil:
			candidates = append(candidates, node)
		case !v.available(at.fresh):
			beside++
		default:
			p.remove = append(p.remove, at.old)
		}
	}
	p.make = append(p.make, candidates[:min(max(most-beside, 0), len(candidates))]...)
}
