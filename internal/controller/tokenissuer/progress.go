package tokenissuer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
)

// node is what counts of a node for the progress of a revision.
type node struct {
	name string
	// revision is what the node reports; reports is false where it never has.
	revision int32
	reports  bool
	ready    bool
	// silent is true when nothing was heard of the node for SilentAfter.
	silent bool
}

// leftOut tells why a node does not count, or returns "".
func (n node) leftOut(grace bool) string {
	switch {
	case !n.ready:
		return "not ready"
	case n.silent, !n.reports && !grace:
		return "silent"
	}
	return ""
}

// progress is how far the nodes have come on the way to a revision.
type progress struct {
	latest   int32
	statuses []operatorv1.NodeStatus
	out      []string // nodes that do not count, with the reason
}

// measure counts nodes. With grace those that have never reported count as being at
// revision 0: they may only have started. So do those that report a revision which there
// is not yet: that is left of another life of the object.
func measure(nodes []node, latest int32, grace bool) progress {
	p := progress{latest: latest}
	slices.SortFunc(nodes, func(a, b node) int { return strings.Compare(a.name, b.name) })
	for _, n := range nodes {
		if why := n.leftOut(grace); why != "" {
			p.out = append(p.out, fmt.Sprintf("%s (%s)", n.name, why))
			continue
		}
		s := operatorv1.NodeStatus{NodeName: n.name, CurrentRevision: n.revision}
		if n.revision > latest {
			s.CurrentRevision = 0
		}
		if s.CurrentRevision < latest {
			s.TargetRevision = latest
		}
		p.statuses = append(p.statuses, s)
	}
	return p
}

// behind counts the nodes that are not at the latest revision.
func (p progress) behind() (n int) {
	for _, s := range p.statuses {
		if s.CurrentRevision < p.latest {
			n++
		}
	}
	return n
}

// active counts the nodes that are at some revision.
func (p progress) active() (n int) {
	for _, s := range p.statuses {
		if s.CurrentRevision > 0 {
			n++
		}
	}
	return n
}

// describe counts the nodes by revision, in the words of OpenShift's static pod
// operators; behind that it names the nodes that do not count.
func (p progress) describe() string {
	counts := map[int32]int{}
	for _, s := range p.statuses {
		counts[s.CurrentRevision]++
	}
	if _, some := counts[p.latest]; !some && (p.behind() > 0 || len(counts) == 0) {
		counts[p.latest] = 0
	}
	var parts []string
	for _, revision := range slices.Sorted(maps.Keys(counts)) {
		switch n := counts[revision]; {
		case n == 0 && len(counts) > 1:
			parts = append(parts, fmt.Sprintf("0 nodes have achieved new revision %d", revision))
		case n == 1:
			parts = append(parts, fmt.Sprintf("1 node is at revision %d", revision))
		default:
			parts = append(parts, fmt.Sprintf("%d nodes are at revision %d", n, revision))
		}
	}
	text := strings.Join(parts, "; ")
	if len(p.out) > 0 {
		text += "; left out: " + strings.Join(p.out, ", ")
	}
	return text
}

// conditions returns the conditions that say so. A condition whose status stays keeps
// its time.
func (p progress) conditions(old []operatorv1.OperatorCondition, degraded string, now time.Time) []operatorv1.OperatorCondition {
	progressing := operatorv1.OperatorCondition{Type: operatorv1.NodeInstallerProgressing, Status: "True", Message: p.describe()}
	if p.behind() == 0 {
		progressing.Status, progressing.Reason = "False", operatorv1.ReasonAllNodesAtLatestRevision
	}
	available := operatorv1.OperatorCondition{Type: operatorv1.StaticPodsAvailable, Status: "True"}
	available.Message = fmt.Sprintf("%d nodes are active; %s", p.active(), p.describe())
	if p.active() == 0 {
		available.Status, available.Reason = "False", operatorv1.ReasonZeroNodesActive
	}
	issuer := operatorv1.OperatorCondition{Type: operatorv1.ServiceAccountIssuerDegraded, Status: "False", Reason: "AsExpected"}
	if degraded != "" {
		issuer.Status, issuer.Reason, issuer.Message = "True", "IssuerNotTaken", degraded
	}
	next := []operatorv1.OperatorCondition{available, progressing, issuer}
	for i := range next {
		next[i].LastTransitionTime = metav1.NewTime(now.UTC().Truncate(time.Second))
		for _, o := range old {
			if o.Type == next[i].Type && o.Status == next[i].Status && !o.LastTransitionTime.IsZero() {
				next[i].LastTransitionTime = o.LastTransitionTime
			}
		}
	}
	for _, o := range old { // conditions of others stay
		if !slices.ContainsFunc(next, func(c operatorv1.OperatorCondition) bool { return c.Type == o.Type }) {
			next = append(next, o)
		}
	}
	return next
}
