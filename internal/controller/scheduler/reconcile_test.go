package scheduler

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/podfields"
)

// node returns a ready node with 2 cores, 4 GiB and room for 10 pods.
func node(name string, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}},
		Status: corev1.NodeStatus{
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			Allocatable: list("cpu", "2", "memory", "4Gi", "pods", "10", "ephemeral-storage", "10Gi"),
		},
	}
	for _, f := range change {
		f(n)
	}
	return n
}

func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

// pod returns a pod that waits, with requests.
func pod(name string, requests corev1.ResourceList, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name + "-uid")},
		Spec: corev1.PodSpec{
			SchedulerName: Name,
			Containers:    []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: requests}}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	for _, f := range change {
		f(p)
	}
	return p
}

func taint(key, effect string) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffect(effect)})
	}
}

func ready(s corev1.ConditionStatus) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Status.Conditions[0].Status = s }
}

func cordon(n *corev1.Node) { n.Spec.Unschedulable = true }

func hostPort80(p *corev1.Pod) {
	p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 80}}
}

func tolerateAll(p *corev1.Pod) {
	p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
}

func selects(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{key: value} }
}

func requires(operator corev1.NodeSelectorOperator, values ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: "kubernetes.io/hostname", Operator: operator, Values: values},
			}}},
		}}}
	}
}

func TestChoose(t *testing.T) {
	some := list("cpu", "1", "memory", "1Gi")
	used := func(n *corev1.Node, a amounts, ports ...podfields.HostPort) candidate {
		return candidate{node: n, used: a, ports: ports}
	}
	for _, tc := range []struct {
		name  string
		pod   *corev1.Pod
		nodes []candidate
		want  string // a node, or why there is none
	}{
		{"no nodes", pod("p", some), nil, "no nodes available to schedule pods"},
		{"fits", pod("p", some), []candidate{used(node("a"), nil)}, "a"},
		{"fits exactly", pod("p", list("cpu", "2", "memory", "4Gi")), []candidate{used(node("a"), nil)}, "a"},
		{"too large", pod("p", list("cpu", "2001m", "memory", "5Gi")), []candidate{used(node("a"), nil)}, "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."},
		{"no room left", pod("p", some), []candidate{used(node("a"), amounts{"cpu": 1500, "pods": 10})}, "0/1 nodes are available: 1 Insufficient cpu, 1 Too many pods."},
		{"storage", pod("p", list("ephemeral-storage", "11Gi")), []candidate{used(node("a"), nil)}, "0/1 nodes are available: 1 Insufficient ephemeral-storage."},
		{"devices", pod("p", list("example.com/device", "1")), []candidate{used(node("a"), nil), used(node("b"), nil)}, "0/2 nodes are available: 2 Insufficient example.com/device."},
		{"over-committed, nothing asked", pod("p", nil), []candidate{used(node("a"), amounts{"cpu": 9000})}, "a"},
		{"less used", pod("p", some), []candidate{used(node("a"), amounts{"cpu": 500}), used(node("b"), nil), used(node("c"), amounts{"memory": 1 << 30})}, "b"},
		{"fewer pods", pod("p", nil), []candidate{used(node("a"), amounts{"pods": 3}), used(node("b"), amounts{"pods": 2})}, "b"},
		{"cordoned", pod("p", nil), []candidate{used(node("a", cordon, taint(corev1.TaintNodeUnschedulable, "NoSchedule")), nil)}, "0/1 nodes are available: 1 node(s) were unschedulable."},
		{"cordoned, tolerated", pod("p", nil, tolerateAll), []candidate{used(node("a", cordon, taint(corev1.TaintNodeUnschedulable, "NoSchedule")), nil)}, "a"},
		{"tainted", pod("p", nil), []candidate{used(node("a", taint("k", "NoSchedule")), nil), used(node("b", taint("k", "NoExecute")), nil)}, "0/2 nodes are available: 2 node(s) had untolerated taint(s)."},
		{"discouraged", pod("p", nil), []candidate{used(node("a", taint("k", "PreferNoSchedule")), nil)}, "a"},
		{"tolerated", pod("p", nil, tolerateAll), []candidate{used(node("a", taint("k", "NoSchedule")), nil)}, "a"},
		{"not ready", pod("p", nil), []candidate{used(node("a", ready("False")), nil), used(node("b", ready("Unknown")), nil)}, "0/2 nodes are available: 2 node(s) had untolerated taint(s)."},
		{"selected", pod("p", nil, selects("kubernetes.io/hostname", "b")), []candidate{used(node("a"), nil), used(node("b"), amounts{"cpu": 1000})}, "b"},
		{"selects none", pod("p", nil, selects("disk", "ssd")), []candidate{used(node("a"), nil)}, "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."},
		{"affinity", pod("p", nil, requires("NotIn", "a")), []candidate{used(node("a"), nil), used(node("b"), nil)}, "b"},
		{"malformed affinity", pod("p", nil, requires("Gt", "x")), []candidate{used(node("a"), nil)}, "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."},
		{"host port", pod("p", nil, hostPort80), []candidate{used(node("a"), nil, podfields.HostPort{IP: "10.0.0.1", Protocol: "TCP", Port: 80})}, "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."},
		{"other protocol", pod("p", nil, hostPort80), []candidate{used(node("a"), nil, podfields.HostPort{IP: podfields.AllAddresses, Protocol: "UDP", Port: 80})}, "a"},
		{"several reasons", pod("p", some), []candidate{used(node("a", cordon), nil), used(node("b"), amounts{"cpu": 2000}), used(node("c", taint("k", "NoSchedule")), nil)},
			"0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name, why := world{nodes: tc.nodes}.choose(tc.pod, demandOf(tc.pod))
			if name == "" {
				name = why.String()
			}
			if name != tc.want {
				t.Errorf("chose %q, want %q", name, tc.want)
			}
		})
	}
}

func TestDemand(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	p := pod("p", list("cpu", "250m"), func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{
			{Name: "big", Resources: corev1.ResourceRequirements{Requests: list("memory", "1Gi")}},
			{Name: "sidecar", RestartPolicy: &always, Resources: corev1.ResourceRequirements{Requests: list("cpu", "100m")}},
		}
	})
	got := demandOf(p).amounts
	if got[corev1.ResourceCPU] != 350 || got[corev1.ResourceMemory] != 1<<30 || got[corev1.ResourcePods] != 1 {
		t.Errorf("demand %v", got)
	}
}

func TestLedger(t *testing.T) {
	bound := func(p *corev1.Pod, node string) *corev1.Pod {
		p = p.DeepCopy()
		p.Spec.NodeName = node
		return p
	}
	l := newLedger()
	p := pod("p", list("cpu", "1"), hostPort80)
	expect := func(when string, node string, cpu int64, ports int) {
		t.Helper()
		if c := l.on(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, pod("q", nil)); c.used[corev1.ResourceCPU] != cpu || len(c.ports) != ports {
			t.Errorf("%s: %d of %s and ports %v, want %d and %d", when, c.used[corev1.ResourceCPU], node, c.ports, cpu, ports)
		}
	}
	l.assume(p, "a", demandOf(p))
	l.seen(p) // a late event from before the decision
	expect("assumed", "a", 1000, 1)
	if !l.placed(p.UID) {
		t.Error("an assumed pod has no place")
	}
	if freed, _ := l.seen(bound(p, "a")); freed {
		t.Error("binding freed something")
	}
	l.withdraw(p.UID)
	expect("confirmed, so not withdrawn", "a", 1000, 1)
	if freed, _ := l.seen(bound(p, "b")); !freed {
		t.Error("moving to another node freed nothing")
	}
	expect("moved", "a", 0, 0)
	expect("moved", "b", 1000, 1)
	over := bound(p, "b")
	over.Status.Phase = corev1.PodSucceeded
	if freed, _ := l.seen(over); !freed || l.placed(p.UID) {
		t.Error("a pod that ended still has its place")
	}
	expect("ended", "b", 0, 0)
	l.assume(p, "a", demandOf(p))
	l.withdraw(p.UID)
	expect("withdrawn", "a", 0, 0)
	if l.gone(p.UID) {
		t.Error("an unknown pod freed something")
	}
}
