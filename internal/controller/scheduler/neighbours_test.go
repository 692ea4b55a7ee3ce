package scheduler

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// zoned puts a node into a zone.
func zoned(zone string) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Labels["zone"] = zone }
}

// labelled returns a pod that waits and has a label app.
func labelled(name, app string, change ...func(*corev1.Pod)) *corev1.Pod {
	return pod(name, nil, append([]func(*corev1.Pod){func(p *corev1.Pod) { p.Labels = map[string]string{"app": app, "version": "1"} }}, change...)...)
}

func inNamespace(name string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Namespace = name } }

// app selects pods by their label, in places by key.
func app(name, key string, change ...func(*corev1.PodAffinityTerm)) corev1.PodAffinityTerm {
	t := corev1.PodAffinityTerm{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, TopologyKey: key}
	for _, f := range change {
		f(&t)
	}
	return t
}

func near(terms ...corev1.PodAffinityTerm) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}}
	}
}

func apart(terms ...corev1.PodAffinityTerm) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}}
	}
}

func rather(sign int, terms ...corev1.PodAffinityTerm) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		var weighted []corev1.WeightedPodAffinityTerm
		for _, t := range terms {
			weighted = append(weighted, corev1.WeightedPodAffinityTerm{Weight: 10, PodAffinityTerm: t})
		}
		p.Spec.Affinity = &corev1.Affinity{}
		if sign > 0 {
			p.Spec.Affinity.PodAffinity = &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: weighted}
		} else {
			p.Spec.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: weighted}
		}
	}
}

// with puts pods on a node.
func with(n *corev1.Node, pods ...*corev1.Pod) candidate {
	c := candidate{node: n, used: amounts{}}
	for _, p := range pods {
		b := book(p, n.Name, demandOf(p))
		c.used.add(b.amounts, 1)
		c.ports = append(c.ports, b.ports...)
		c.pods = append(c.pods, b)
	}
	return c
}

// decided returns the node that a pod gets, or why there is none.
func decided(p *corev1.Pod, nodes ...candidate) string {
	w := world{nodes: nodes, namespace: func(name string) labels.Set { return labels.Set{"kubernetes.io/metadata.name": name} }}
	name, why := w.choose(p, demandOf(p))
	if name == "" {
		return why.String()
	}
	return name
}

func TestPodsNearOthers(t *testing.T) {
	a, b, c := node("a", zoned("x")), node("b", zoned("y")), node("c")
	const attracted, own, others = "0/2 nodes are available: 2 node(s) didn't match pod affinity rules.", "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.", "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules."
	everywhere := func(t *corev1.PodAffinityTerm) { t.NamespaceSelector = &metav1.LabelSelector{} }
	named := func(names ...string) func(*corev1.PodAffinityTerm) {
		return func(t *corev1.PodAffinityTerm) { t.Namespaces = names }
	}
	ofName := func(name string) func(*corev1.PodAffinityTerm) {
		return func(t *corev1.PodAffinityTerm) {
			t.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": name}}
		}
	}
	same := func(t *corev1.PodAffinityTerm) { t.MatchLabelKeys = []string{"version"} }
	other := func(t *corev1.PodAffinityTerm) { t.MismatchLabelKeys = []string{"version"} }
	newer := func(p *corev1.Pod) { p.Labels["version"] = "2" }
	for name, tc := range map[string]struct {
		pod   *corev1.Pod
		nodes []candidate
		want  string
	}{
		"near one":                {labelled("p", "web", near(app("db", "zone"))), []candidate{with(a), with(b, labelled("q", "db"))}, "b"},
		"near none":               {labelled("p", "web", near(app("db", "zone"))), []candidate{with(a), with(b)}, attracted},
		"near itself":             {labelled("p", "web", near(app("web", "zone"))), []candidate{with(a), with(b, labelled("q", "db"))}, "a"},
		"near its like":           {labelled("p", "web", near(app("web", "zone"))), []candidate{with(a), with(b, labelled("q", "web"))}, "b"},
		"no such place":           {labelled("p", "web", near(app("web", "zone"))), []candidate{with(c), with(node("d"))}, attracted},
		"in the same zone":        {labelled("p", "web", near(app("db", "zone")), selects("kubernetes.io/hostname", "d")), []candidate{with(a, labelled("q", "db")), with(node("d", zoned("x")))}, "d"},
		"another namespace":       {labelled("p", "web", near(app("db", "zone"))), []candidate{with(a), with(b, labelled("q", "db", inNamespace("other")))}, attracted},
		"named namespace":         {labelled("p", "web", near(app("db", "zone", named("other")))), []candidate{with(a), with(b, labelled("q", "db", inNamespace("other")))}, "b"},
		"any namespace":           {labelled("p", "web", near(app("db", "zone", everywhere))), []candidate{with(a), with(b, labelled("q", "db", inNamespace("other")))}, "b"},
		"selected namespace":      {labelled("p", "web", near(app("db", "zone", ofName("other")))), []candidate{with(a), with(b, labelled("q", "db", inNamespace("other")))}, "b"},
		"not that namespace":      {labelled("p", "web", near(app("db", "zone", ofName("third")))), []candidate{with(a), with(b, labelled("q", "db", inNamespace("other")))}, attracted},
		"both of two":             {labelled("p", "web", near(app("db", "zone"), app("db", "kubernetes.io/hostname"))), []candidate{with(a), with(b, labelled("q", "db"))}, "b"},
		"the same version":        {labelled("p", "web", near(app("db", "zone", same))), []candidate{with(a, labelled("q", "db", newer)), with(b, labelled("r", "db"))}, "b"},
		"another version":         {labelled("p", "web", near(app("db", "zone", other))), []candidate{with(a, labelled("q", "db", newer)), with(b, labelled("r", "db"))}, "a"},
		"apart from one":          {labelled("p", "web", apart(app("web", "zone"))), []candidate{with(a, labelled("q", "web")), with(b)}, "b"},
		"apart from all":          {labelled("p", "web", apart(app("web", "zone"))), []candidate{with(a, labelled("q", "web")), with(b, labelled("r", "web"))}, own},
		"apart where no place is": {labelled("p", "web", apart(app("web", "zone"))), []candidate{with(a, labelled("q", "web")), with(c, labelled("r", "web"))}, "c"},
		"kept away by one":        {labelled("p", "web"), []candidate{with(a, labelled("q", "db", apart(app("web", "zone")))), with(b)}, "b"},
		"kept away by all":        {labelled("p", "web"), []candidate{with(a, labelled("q", "db", apart(app("web", "zone")))), with(b, labelled("r", "db", apart(app("web", "zone"))))}, others},
		"rather near":             {labelled("p", "web", rather(1, app("db", "zone"))), []candidate{with(a), with(b, labelled("q", "db"))}, "b"},
		"rather apart":            {labelled("p", "web", rather(-1, app("db", "zone"))), []candidate{with(a, labelled("q", "db")), with(b, labelled("r", "x"), labelled("s", "x"))}, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decided(tc.pod, tc.nodes...); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestPreferredNodes(t *testing.T) {
	prefers := func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{
			{Weight: 1, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"y"}}}}},
		}}}
	}
	busy := amounts{"cpu": 500}
	if got := decided(pod("p", nil, prefers), candidate{node: node("a", zoned("x"))}, candidate{node: node("b", zoned("y")), used: busy}); got != "b" {
		t.Errorf("the preferred zone is not taken, but %q", got)
	}
	if got := decided(pod("p", nil), candidate{node: node("a", taint("k", "PreferNoSchedule"))}, candidate{node: node("b"), used: busy}); got != "b" {
		t.Errorf("the taint is not avoided: %q", got)
	}
	named := func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
			{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"c"}}}},
		}}}}
	}
	if got := decided(pod("p", nil, named), with(node("a")), with(node("b"))); got != "0/2 nodes are available: 2 node(s) didn't satisfy plugin(s) [NodeAffinity]." {
		t.Errorf("a node that is not there: %q", got)
	}
	if got := decided(pod("p", nil, named), with(node("a")), with(node("c"))); got != "c" {
		t.Errorf("by name: %q", got)
	}
}

func TestSpread(t *testing.T) {
	spreads := func(rule corev1.UnsatisfiableConstraintAction, change ...func(*corev1.TopologySpreadConstraint)) func(*corev1.Pod) {
		c := corev1.TopologySpreadConstraint{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: rule, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}
		for _, f := range change {
			f(&c)
		}
		return func(p *corev1.Pod) { p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{c} }
	}
	must := spreads(corev1.DoNotSchedule)
	domains := func(n int32) func(*corev1.TopologySpreadConstraint) {
		return func(c *corev1.TopologySpreadConstraint) { c.MinDomains = &n }
	}
	ignore, honour := corev1.NodeInclusionPolicyIgnore, corev1.NodeInclusionPolicyHonor
	x := func(pods ...*corev1.Pod) candidate { return with(node("a", zoned("x")), pods...) }
	y := func(pods ...*corev1.Pod) candidate { return with(node("b", zoned("y")), pods...) }
	ending := func(p *corev1.Pod) { now := metav1.Now(); p.DeletionTimestamp = &now }
	const skewed = "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) didn't match pod topology spread constraints."
	for name, tc := range map[string]struct {
		pod   *corev1.Pod
		nodes []candidate
		want  string
	}{
		"to the emptier zone":                 {labelled("p", "web", must), []candidate{x(labelled("q", "web")), y()}, "b"},
		"others do not count":                 {labelled("p", "web", must), []candidate{x(labelled("q", "db"), labelled("r", "db")), y(labelled("s", "web"))}, "a"},
		"nor those that end":                  {labelled("p", "web", must, selects("zone", "x")), []candidate{x(labelled("q", "web", ending)), y()}, "a"},
		"nor other namespaces":                {labelled("p", "web", must, selects("zone", "x")), []candidate{x(labelled("q", "web", inNamespace("other"))), y()}, "a"},
		"zones it may not be in do not count": {labelled("p", "web", must, selects("zone", "x")), []candidate{x(labelled("q", "web")), y()}, "a"},
		"unless it says so": {labelled("p", "web", spreads(corev1.DoNotSchedule, func(c *corev1.TopologySpreadConstraint) { c.NodeAffinityPolicy = &ignore }), selects("zone", "x")),
			[]candidate{x(labelled("q", "web")), y()}, skewed},
		"tainted nodes count": {labelled("p", "web", must), []candidate{x(labelled("q", "web")), with(node("b", zoned("y"), taint("k", "NoSchedule")))},
			"0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) had untolerated taint(s)."},
		"unless it honours taints": {labelled("p", "web", spreads(corev1.DoNotSchedule, func(c *corev1.TopologySpreadConstraint) { c.NodeTaintsPolicy = &honour })),
			[]candidate{x(labelled("q", "web")), with(node("b", zoned("y"), taint("k", "NoSchedule")))}, "a"},
		"too few zones": {labelled("p", "web", spreads(corev1.DoNotSchedule, domains(3))), []candidate{x(labelled("q", "web")), y(labelled("r", "web"))},
			"0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints."},
		"no zone": {labelled("p", "web", must), []candidate{with(node("a")), with(node("b"))},
			"0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints (missing required label)."},
		"rather": {labelled("p", "web", spreads(corev1.ScheduleAnyway)), []candidate{x(labelled("q", "web")), y(labelled("r", "db"), labelled("s", "db"))}, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decided(tc.pod, tc.nodes...); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
