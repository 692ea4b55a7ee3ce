package nodelifecycle

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/nodefields"
)

func node(conditions ...corev1.NodeCondition) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Status: corev1.NodeStatus{Conditions: conditions}}
}

func is(kind corev1.NodeConditionType, s corev1.ConditionStatus) corev1.NodeCondition {
	return corev1.NodeCondition{Type: kind, Status: s}
}

// taints writes taints as "key:Effect", sorted.
func taints(n *corev1.Node) string {
	var all []string
	for _, t := range n.Spec.Taints {
		all = append(all, strings.TrimPrefix(t.Key, "node.kubernetes.io/")+":"+string(t.Effect))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestTaints(t *testing.T) {
	foreign := corev1.Taint{Key: "example.com/mine", Effect: corev1.TaintEffectNoSchedule}
	stale := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}
	with := func(n *corev1.Node, t ...corev1.Taint) *corev1.Node { n.Spec.Taints = t; return n }
	cordoned := node(is("Ready", "True"))
	cordoned.Spec.Unschedulable = true
	for _, tc := range []struct {
		name    string
		node    *corev1.Node
		want    string
		changed bool
	}{
		{"ready", node(is("Ready", "True")), "", false},
		{"new", node(), "", false},
		{"ready again", with(node(is("Ready", "True")), foreign, stale), "example.com/mine:NoSchedule", true},
		{"not ready", node(is("Ready", "False")), "not-ready:NoExecute not-ready:NoSchedule", true},
		{"not ready, half tainted", with(node(is("Ready", "False")), stale), "not-ready:NoExecute not-ready:NoSchedule", true},
		{"silent", with(node(is("Ready", "Unknown")), stale), "unreachable:NoExecute unreachable:NoSchedule", true},
		{"full", node(is("Ready", "True"), is("DiskPressure", "True"), is("MemoryPressure", "True"), is("PIDPressure", "False"), is("NetworkUnavailable", "True")),
			"disk-pressure:NoSchedule memory-pressure:NoSchedule network-unavailable:NoSchedule", true},
		{"cordoned", cordoned, "unschedulable:NoSchedule", true},
		{"foreign", with(node(is("Ready", "True")), foreign), "example.com/mine:NoSchedule", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := taintsFor(tc.node, time.Now())
			changed := !equality.Semantic.DeepEqual(got, tc.node.Spec.Taints)
			n := with(node(), got...)
			if taints(n) != tc.want || changed != tc.changed {
				t.Errorf("taints %q, changed %v", taints(n), changed)
			}
			for _, taint := range got {
				if (taint.Effect == corev1.TaintEffectNoExecute) != (taint.TimeAdded != nil) {
					t.Errorf("taint %+v", taint)
				}
			}
			n.Status, n.Spec.Unschedulable = tc.node.Status, tc.node.Spec.Unschedulable
			if again := taintsFor(n, time.Now().Add(time.Hour)); !equality.Semantic.DeepEqual(again, n.Spec.Taints) {
				t.Errorf("the second time changes %v", again)
			}
		})
	}
}

func TestSilence(t *testing.T) {
	start := time.Unix(1000, 0)
	written := 0
	r := reconciler{
		now:   func() time.Time { return start.Add(Grace) },
		heard: func(string) time.Time { return start },
		updateStatus: run.Commits(env.Env{}, func(_ context.Context, n *corev1.Node, _ metav1.UpdateOptions) (*corev1.Node, error) {
			written++
			return n, nil
		}),
	}
	var tainted *corev1.Node
	r.update = run.Commits(env.Env{}, func(_ context.Context, n *corev1.Node, _ metav1.UpdateOptions) (*corev1.Node, error) {
		tainted = n
		return n, nil
	})
	if _, err := r.reconcile(t.Context(), node(is("Ready", "True"), is("DiskPressure", "False"))); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range tainted.Status.Conditions {
		got = append(got, fmt.Sprintf("%s=%s %s %s", c.Type, c.Status, c.Reason, c.Message))
	}
	want := []string{
		"Ready=Unknown NodeStatusUnknown Kubelet stopped posting node status.",
		"DiskPressure=Unknown NodeStatusUnknown Kubelet stopped posting node status.",
		"MemoryPressure=Unknown NodeStatusNeverUpdated Kubelet never posted node status.",
		"PIDPressure=Unknown NodeStatusNeverUpdated Kubelet never posted node status.",
	}
	if !slices.Equal(got, want) || taints(tainted) != "unreachable:NoExecute unreachable:NoSchedule" {
		t.Errorf("conditions\n%s\ntaints %s", strings.Join(got, "\n"), taints(tainted))
	}
	if _, err := r.reconcile(t.Context(), tainted); err != nil || written != 1 {
		t.Errorf("written %d times, %v", written, err)
	}
	r.now = func() time.Time { return start.Add(Grace - time.Second) }
	if next, err := r.reconcile(t.Context(), node(is("Ready", "True"))); err != nil || next != time.Second || written != 1 {
		t.Errorf("a second before: next in %s, written %d times, %v", next, written, err)
	}
}

func TestController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(node(is("Ready", "True")))
		ctx, cancel := context.WithCancel(t.Context())
		factory := informers.NewSharedInformerFactory(client, 0)
		c := New(env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
		factory.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		leases := client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
		lease, err := leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: "a"}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		renew := func() {
			t.Helper()
			now := metav1.NowMicro()
			lease = lease.DeepCopy()
			lease.Spec.RenewTime = &now
			if _, err := leases.Update(ctx, lease, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		state := func() string {
			t.Helper()
			synctest.Wait()
			n, err := client.CoreV1().Nodes().Get(ctx, "a", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(string(nodefields.Condition(n, corev1.NodeReady).Status) + " " + taints(n))
		}
		for range 20 {
			time.Sleep(10 * time.Second)
			renew()
		}
		if got := state(); got != "True" {
			t.Errorf("with heartbeats: %s", got)
		}
		time.Sleep(Grace + time.Second)
		if got := state(); got != "Unknown unreachable:NoExecute unreachable:NoSchedule" {
			t.Errorf("without heartbeats: %s", got)
		}
		renew()
		n, err := client.CoreV1().Nodes().Get(ctx, "a", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		nodefields.Condition(n, corev1.NodeReady).Status = corev1.ConditionTrue
		if _, err := client.CoreV1().Nodes().UpdateStatus(ctx, n, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := state(); got != "True" {
			t.Errorf("after it came back: %s", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
}
