package scheduler

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func priority(value int32) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.Priority = &value } }

func polite(p *corev1.Pod) { p.Spec.PreemptionPolicy = new(corev1.PreemptNever) }

func since(seconds int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.StartTime = new(metav1.Unix(seconds, 0)) }
}

func TestWhoMakesWay(t *testing.T) {
	cores := func(n string) corev1.ResourceList { return list("cpu", n) }
	ending := func(p *corev1.Pod) { now := metav1.Now(); p.DeletionTimestamp = &now }
	const helpless = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
	for name, tc := range map[string]struct {
		pod       *corev1.Pod
		nominated string
		nodes     []candidate
		want      string // the node and the victims, or why there are none
	}{
		"one of less priority":    {pod("p", cores("2"), priority(10)), "", []candidate{with(node("a"), pod("q", cores("1"), priority(5)))}, "a: q"},
		"nobody of less":          {pod("p", cores("2"), priority(5)), "", []candidate{with(node("a"), pod("q", cores("1"), priority(5)))}, "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."},
		"never":                   {pod("p", cores("2"), priority(10), polite), "", []candidate{with(node("a"), pod("q", cores("1"), priority(5)))}, "preemption: not eligible due to preemptionPolicy=Never."},
		"too large":               {pod("p", cores("3"), priority(10)), "", []candidate{with(node("a"), pod("q", cores("1"), priority(5)))}, helpless},
		"tainted":                 {pod("p", nil, priority(10)), "", []candidate{with(node("a", taint("k", "NoSchedule")), pod("q", cores("1"), priority(5)))}, helpless},
		"not enough":              {pod("p", cores("2"), priority(10)), "", []candidate{with(node("a"), pod("q", cores("1"), priority(5)), pod("r", cores("1"), priority(20)))}, "preemption: 0/1 nodes are available: 1 Insufficient cpu."},
		"no more than needed":     {pod("p", cores("1"), priority(10)), "", []candidate{with(node("a"), pod("q", cores("1"), priority(5)), pod("r", cores("1"), priority(4)))}, "a: r"},
		"the younger one":         {pod("p", cores("1"), priority(10)), "", []candidate{with(node("a"), pod("q", cores("1"), since(100)), pod("r", cores("1"), since(50)))}, "a: q"},
		"the least important":     {pod("p", cores("2"), priority(10)), "", []candidate{with(node("a"), pod("q", cores("1"), priority(5))), with(node("b"), pod("r", cores("1"), priority(4)))}, "b: r"},
		"the fewest":              {pod("p", cores("2"), priority(10)), "", []candidate{with(node("a"), pod("q", cores("500m")), pod("r", cores("500m"))), with(node("b"), pod("s", cores("1")))}, "b: s"},
		"a port":                  {pod("p", nil, hostPort80, priority(10)), "", []candidate{with(node("a"), pod("q", nil, hostPort80), pod("r", cores("1")))}, "a: q"},
		"one that keeps it away":  {labelled("p", "web", priority(10)), "", []candidate{with(node("a"), labelled("q", "db", apart(app("web", "kubernetes.io/hostname"))), labelled("r", "db"))}, "a: q"},
		"one that ends already":   {pod("p", cores("2"), priority(10)), "a", []candidate{with(node("a"), pod("q", cores("1"), ending))}, "preemption: not eligible due to a terminating pod on the nominated node."},
		"one that ends elsewhere": {pod("p", cores("2"), priority(10)), "b", []candidate{with(node("a"), pod("q", cores("1"), ending)), with(node("b"), pod("r", cores("1"), priority(10)))}, "a: q"},
	} {
		t.Run(name, func(t *testing.T) {
			w := world{nodes: tc.nodes, namespace: func(string) labels.Set { return nil }}
			d := demandOf(tc.pod)
			node, why := w.choose(tc.pod, d)
			if node != "" {
				t.Fatalf("there is room on %s", node)
			}
			p, got := w.preempt(tc.pod, d, why, tc.nominated)
			if p != nil {
				var names []string
				for _, v := range p.victims {
					names = append(names, v.Name)
				}
				got = p.node + ": " + strings.Join(names, " ")
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestBudgetsAreSparedWhereOthersWillDo has budgets that allow no disruption.
func TestBudgetsAreSparedWhereOthersWillDo(t *testing.T) {
	all := []*policyv1.PodDisruptionBudget{
		{Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "kept"}}}},
		{Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{}}},
		{Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "some"}}}, Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: 1, DisruptedPods: map[string]metav1.Time{"taken": {}}}},
	}
	budgets := func(string) []*policyv1.PodDisruptionBudget { return all }
	cores := func(n string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = list("cpu", n) }
	}
	for name, tc := range map[string]struct {
		nodes []candidate
		want  string
	}{
		"on a node":         {[]candidate{with(node("a"), labelled("q", "kept", cores("1")), labelled("r", "x", cores("1"), priority(5)))}, "a: r"},
		"by another node":   {[]candidate{with(node("a"), labelled("q", "kept", cores("2"))), with(node("b"), labelled("r", "x", cores("2"), priority(5)))}, "b: r"},
		"but not for ever":  {[]candidate{with(node("a"), labelled("q", "kept", cores("2")))}, "a: q"},
		"within the budget": {[]candidate{with(node("a"), labelled("q", "some", cores("1"), priority(3)), labelled("taken", "some", cores("1"), priority(2)))}, "a: taken"},
		"beyond the budget": {[]candidate{with(node("a"), labelled("q", "some", cores("1"), priority(3)), labelled("r", "some", cores("1"), priority(2)))}, "a: q"},
	} {
		w := world{nodes: tc.nodes, namespace: func(string) labels.Set { return nil }, budgets: budgets}
		p := pod("p", list("cpu", "1"), priority(10))
		_, why := w.choose(p, demandOf(p))
		made, got := w.preempt(p, demandOf(p), why, "")
		if made != nil {
			got = made.node + ":"
			for _, v := range made.victims {
				got += " " + v.Name
			}
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestLessImportantPodsMakeWay(t *testing.T) {
	start(t, func(c *cluster) {
		c.create(pod("low", list("cpu", "2")))
		hold := c.get("low").DeepCopy()
		time.Sleep(time.Second) // events of one pod in one instant have one name
		c.create(pod("high", list("cpu", "2"), priority(100)))
		if _, err := c.client.CoreV1().Pods("ns").Get(c.ctx, "low", metav1.GetOptions{}); err == nil {
			t.Fatal("the pod of less priority is still there")
		}
		if got := c.get("high"); got.Spec.NodeName != "a" || got.Status.NominatedNodeName != "a" {
			t.Errorf("the important pod is on %q, nominated to %q", got.Spec.NodeName, got.Status.NominatedNodeName)
		}
		got := c.events()
		for _, want := range []string{
			"default-scheduler Normal Preempted Preempted by pod high-uid on node a",
			"default-scheduler Warning FailedScheduling 0/1 nodes are available: 1 Insufficient cpu.",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("events:\n%s\nwant %s", got, want)
			}
		}
		reasons := []string{}
		for _, a := range c.client.Actions() {
			if p, ok := a.(interface{ GetPatch() []byte }); ok && strings.Contains(string(p.GetPatch()), "PreemptionByScheduler") {
				reasons = append(reasons, string(p.GetPatch()))
			}
		}
		if len(reasons) != 1 || !strings.Contains(reasons[0], "default-scheduler: preempting to accommodate a higher priority pod") || !strings.Contains(reasons[0], string(hold.UID)) {
			t.Errorf("the victim was told %q", reasons)
		}
	}, node("a"))
}

func TestAPlaceIsKeptForWhoOthersMakeWayFor(t *testing.T) {
	l := newLedger()
	high, low, higher := pod("high", list("cpu", "2"), priority(100)), pod("low", list("cpu", "1")), pod("higher", list("cpu", "1"), priority(200))
	l.nominate(high, "a", demandOf(high))
	for _, tc := range []struct {
		pod  *corev1.Pod
		want int64
	}{{low, 2000}, {high, 0}, {higher, 0}} {
		if got := l.on(node("a"), tc.pod).used["cpu"]; got != tc.want {
			t.Errorf("for %s the node has %d used, want %d", tc.pod.Name, got, tc.want)
		}
	}
	l.assume(high, "b", demandOf(high))
	if got := l.on(node("a"), low).used["cpu"]; got != 0 || l.nominatedTo(high.UID) != "" {
		t.Errorf("the place is kept for a pod that has one: %d", got)
	}
}

func TestPodsWaitForTheirNeighbours(t *testing.T) {
	start(t, func(c *cluster) {
		c.create(labelled("web", "web", near(app("db", "zone"))))
		const waits = "FailedScheduling 0/1 nodes are available: 1 node(s) didn't match pod affinity rules. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
		if got := c.events(); !strings.Contains(got, waits) {
			t.Errorf("events:\n%s", got)
		}
		c.create(labelled("db", "db"))
		time.Sleep(time.Second)
		synctest.Wait()
		if got := c.bound(); got["a"] != 2 {
			t.Errorf("bound %v", got)
		}
	}, node("a", zoned("x")))
}

func TestLongReasonsAreCutInEventsAlone(t *testing.T) {
	long := strings.Repeat("x", 2000)
	if got := cut(long); len(got) != 1024 || !strings.HasSuffix(got, "x ...") || cut("short") != "short" {
		t.Errorf("cut to %d: %s", len(got), got[len(got)-10:])
	}
	if !slices.Equal(scaled([]int64{2, 4, 3}), []int64{0, 100, 50}) || !slices.Equal(scaled([]int64{7, 7}), []int64{0, 0}) {
		t.Error("scores are not scaled")
	}
}
