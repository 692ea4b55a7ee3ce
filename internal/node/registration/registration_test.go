package registration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/nodefields"
)

// setup is a registrar over an API in memory, with a clock that stands still.
type setup struct {
	*Registrar
	t      *testing.T
	client *fake.Clientset
	clock  *clocktesting.FakeClock

	short   atomic.Bool // of memory
	mu      sync.Mutex
	runtime Runtime
	seen    int // nodes that were told of
	events  []string
}

func (s *setup) setRuntime(r Runtime) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runtime = r
}

func newSetup(t *testing.T, objects ...runtime.Object) *setup {
	t.Helper()
	s := &setup{t: t, client: fake.NewClientset(objects...), clock: clocktesting.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
	s.runtime = Runtime{Version: "containerd://1.6.20"}
	var err error
	s.Registrar, err = New(Config{
		Client: s.client, NodeName: "n1", IPs: []string{"192.0.2.1", "fd00::1"}, Labels: map[string]string{"zone": "z"}, Annotations: map[string]string{"at": "here", "gone": ""}, Version: "v1", Port: 10250,
		Root: t.TempDir(), MaxPods: 110, Wall: clock.WallOf(s.clock), Log: slog.New(slog.DiscardHandler),
		Runtime:       func(context.Context) Runtime { s.mu.Lock(); defer s.mu.Unlock(); return s.runtime },
		MemoryReserve: func(int64) int64 { return 64 << 20 }, Pressed: func() (bool, bool) { return s.short.Load(), false },
		Seen: func(*corev1.Node) { s.mu.Lock(); defer s.mu.Unlock(); s.seen++ },
		Event: func(reason, message string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.events = append(s.events, reason+": "+message)
		},
		Images: func(context.Context) ([]corev1.ContainerImage, error) {
			return []corev1.ContainerImage{{Names: []string{"i"}, SizeBytes: 1}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *setup) told() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (s *setup) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
}

func (s *setup) eventually(what string, check func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if check() {
			return
		}
	}
	s.t.Fatal("never: " + what)
}

func (s *setup) node() *corev1.Node {
	node, err := s.client.CoreV1().Nodes().Get(context.Background(), "n1", metav1.GetOptions{})
	if err != nil {
		return &corev1.Node{}
	}
	return node
}

func readyCondition(n *corev1.Node) corev1.NodeCondition {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c
		}
	}
	return corev1.NodeCondition{}
}

func (s *setup) writes() int {
	n := 0
	for _, a := range s.client.Actions() {
		if a.GetVerb() == "update" && a.GetSubresource() == "status" {
			n++
		}
	}
	return n
}

func TestRegisters(t *testing.T) {
	s := newSetup(t)
	if s.Ready() == nil {
		t.Error("ready before anything was written")
	}
	s.run()
	s.eventually("ready", func() bool { return s.Ready() == nil })
	n := s.node()
	if len(n.Annotations) != 1 || n.Annotations["at"] != "here" {
		t.Errorf("annotations %v", n.Annotations)
	}
	if n.Labels["zone"] != "z" || n.Labels[corev1.LabelHostname] != "n1" || n.Labels[corev1.LabelOSStable] != "linux" {
		t.Errorf("labels %v", n.Labels)
	}
	if a := n.Status.Addresses; len(a) != 3 || a[0].Address != "192.0.2.1" || a[0].Type != corev1.NodeInternalIP || a[2].Type != corev1.NodeHostName {
		t.Errorf("addresses %v", a)
	}
	if n.Status.DaemonEndpoints.KubeletEndpoint.Port != 10250 || n.Status.Capacity.Pods().Value() != 110 || len(n.Status.Images) != 1 || n.Status.NodeInfo.KubeletVersion != "v1" {
		t.Errorf("status %+v", n.Status)
	}
	if len(n.Status.Conditions) != 4 || readyCondition(n).LastTransitionTime.Time.IsZero() {
		t.Errorf("conditions %+v", n.Status.Conditions)
	}
}

func TestNodeSaysThatItIsShortOfMemory(t *testing.T) {
	s := newSetup(t)
	s.run()
	s.eventually("ready", func() bool { return s.Ready() == nil })
	if c, a := s.node().Status.Capacity.Memory().Value(), s.node().Status.Allocatable.Memory().Value(); c-a != 64<<20 {
		t.Errorf("of %d bytes pods may use %d", c, a)
	}
	for _, want := range []struct {
		short           bool
		status          corev1.ConditionStatus
		reason, message string
	}{
		{true, corev1.ConditionTrue, "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"},
		{false, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"},
	} {
		s.short.Store(want.short)
		s.Changed()
		s.eventually(want.reason, func() bool {
			c := nodefields.Condition(s.node(), corev1.NodeMemoryPressure)
			return c != nil && c.Status == want.status && c.Reason == want.reason && c.Message == want.message
		})
	}
}

func TestKeepsWhatOthersWrote(t *testing.T) {
	s := newSetup(t, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{"theirs": "1", "zone": "old"}, Annotations: map[string]string{"gone": "x", "theirs": "y"}},
		Spec:       corev1.NodeSpec{Unschedulable: true},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionFalse}}},
	})
	s.run()
	s.eventually("ready", func() bool { return s.Ready() == nil })
	n := s.node()
	if len(n.Annotations) != 2 || n.Annotations["at"] != "here" || n.Annotations["theirs"] != "y" {
		t.Errorf("annotations %v", n.Annotations)
	}
	if n.Labels["theirs"] != "1" || n.Labels["zone"] != "z" || !n.Spec.Unschedulable || len(n.Status.Conditions) != 5 {
		t.Errorf("node %+v", n)
	}
}

func TestReportsChangesAndPeriodically(t *testing.T) {
	s := newSetup(t)
	s.run()
	s.eventually("ready", func() bool { return s.Ready() == nil })
	s.setRuntime(Runtime{NotReady: []string{"container runtime is down", "b"}})
	s.Changed()
	s.eventually("not ready", func() bool { return readyCondition(s.node()).Status == corev1.ConditionFalse })
	if c := readyCondition(s.node()); c.Reason != "KubeletNotReady" || c.Message != "[container runtime is down, b]" || s.Ready() == nil {
		t.Errorf("condition %+v, ready %v", c, s.Ready())
	}
	s.setRuntime(Runtime{})
	s.Changed()
	s.eventually("ready again", func() bool { return s.Ready() == nil })
	before := s.writes()
	s.Changed()
	s.eventually("a look without a change", func() bool { return s.clock.HasWaiters() })
	time.Sleep(20 * time.Millisecond)
	if after := s.writes(); after != before {
		t.Errorf("written %d times without a change", after-before)
	}
	s.clock.Step(reportEvery + time.Second)
	s.eventually("written again after the period", func() bool { return s.writes() > before })
}

// TestWriteOfAnOldNodeIsDoneAgain has another write come between: with a conflict, or, as
// that write changed the taints, with the answer that the node may not change them.
func TestWriteOfAnOldNodeIsDoneAgain(t *testing.T) {
	nodes := schema.GroupResource{Resource: "nodes"}
	for name, refusal := range map[string]error{
		"conflict": apierrors.NewConflict(nodes, "n1", nil),
		"taints":   apierrors.NewForbidden(nodes, "n1", errors.New(`node "n1" is not allowed to modify taints`)),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t)
			refused := false
			s.client.PrependReactor("update", "nodes", func(a k8stesting.Action) (bool, runtime.Object, error) {
				if a.GetSubresource() == "status" && !refused {
					refused = true
					return true, nil, refusal
				}
				return false, nil, nil
			})
			s.run()
			s.eventually("ready", func() bool { return s.Ready() == nil })
		})
	}
}

func TestNodeIsRegisteredAgain(t *testing.T) {
	s := newSetup(t)
	s.run()
	s.eventually("ready", func() bool { return s.Ready() == nil })
	before := s.told()
	if err := s.client.CoreV1().Nodes().Delete(context.Background(), "n1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.setRuntime(Runtime{Version: "containerd://2"})
	s.Changed()
	s.eventually("registered again", func() bool {
		s.clock.Step(retryEvery)
		return s.node().Status.NodeInfo.ContainerRuntimeVersion == "containerd://2"
	})
	s.eventually("told of the other node", func() bool { return s.told() > before })
}

// TestFeaturesOfTheRuntimeAreTold, and stay known while it does not answer.
func TestFeaturesOfTheRuntimeAreTold(t *testing.T) {
	s, strict := newSetup(t), true
	s.setRuntime(Runtime{
		Version: "containerd://2", Answers: true, Features: &corev1.NodeFeatures{SupplementalGroupsPolicy: &strict}, Handlers: []corev1.NodeRuntimeHandler{{Name: "h"}},
	})
	s.run()
	s.eventually("ready", func() bool { return s.Ready() == nil })
	s.setRuntime(Down())
	s.Changed()
	s.eventually("not ready", func() bool {
		s.clock.Step(retryEvery)
		return readyCondition(s.node()).Status == corev1.ConditionFalse
	})
	if f := s.node().Status.Features; f == nil || f.SupplementalGroupsPolicy == nil || !*f.SupplementalGroupsPolicy {
		t.Errorf("features %+v", f)
	}
	if h := s.node().Status.RuntimeHandlers; len(h) != 1 || h[0].Name != "h" {
		t.Errorf("handlers %+v", h)
	}
	s.setRuntime(Runtime{Version: "containerd://1", Answers: true})
	s.Changed()
	s.eventually("nothing is told of an old runtime", func() bool {
		s.clock.Step(retryEvery)
		return s.node().Status.Features == nil && s.node().Status.RuntimeHandlers == nil
	})
}

func TestLeaseIsRenewed(t *testing.T) {
	s := newSetup(t)
	s.run()
	renewed := func() time.Time {
		lease, err := s.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(context.Background(), "n1", metav1.GetOptions{})
		if err != nil {
			return time.Time{}
		}
		return lease.Spec.RenewTime.Time
	}
	s.eventually("a lease", func() bool { return renewed().Equal(s.clock.Now()) })
	s.eventually("ready", func() bool { return s.Ready() == nil })
	s.eventually("renewed", func() bool {
		s.clock.Step(time.Second)
		return renewed().After(time.Date(2026, 1, 1, 0, 0, 9, 0, time.UTC))
	})
	lease, err := s.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(context.Background(), "n1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(lease.OwnerReferences) != 1 || lease.OwnerReferences[0].Kind != "Node" {
		t.Errorf("owners %+v", lease.OwnerReferences)
	}
}

// TestExtendedResourcesOfOthersCanBeUsed patches the capacity, as the documentation of
// extended resources does, and takes it back.
func TestExtendedResourcesOfOthersCanBeUsed(t *testing.T) {
	s := newSetup(t)
	s.run()
	s.eventually("ready", func() bool { return s.Ready() == nil })
	patch := func(version, capacity string) {
		t.Helper()
		body := fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"status":{"capacity":%s}}`, version, capacity)
		if _, err := s.client.CoreV1().Nodes().Patch(context.Background(), "n1", types.MergePatchType, []byte(body), metav1.PatchOptions{}, "status"); err != nil {
			t.Fatal(err)
		}
	}
	patch("2", `{"example.com/dongle":"4","kubernetes.io/own":"5","cpu":"1000000"}`)
	s.eventually("allocatable", func() bool {
		a := s.node().Status
		dongles, cpu := a.Allocatable["example.com/dongle"], a.Capacity[corev1.ResourceCPU]
		_, own := a.Capacity["kubernetes.io/own"]
		return dongles.Value() == 4 && cpu.Value() < 1000000 && !own
	})
	s.setRuntime(Runtime{NotReady: []string{"down"}})
	s.Changed()
	s.eventually("not ready", func() bool { return s.Ready() != nil })
	if dongles := s.node().Status.Capacity["example.com/dongle"]; dongles.Value() != 4 {
		t.Errorf("another write of the status leaves %v dongles", dongles.Value())
	}
	patch("3", `{"example.com/dongle":null}`)
	s.eventually("taken back", func() bool {
		s.clock.Step(foreignEvery)
		_, is := s.node().Status.Allocatable["example.com/dongle"]
		return !is
	})
}

func TestEventsTellOfConditions(t *testing.T) {
	s := newSetup(t)
	s.run()
	s.eventually("ready", func() bool { return s.Ready() == nil })
	s.setRuntime(Runtime{NotReady: []string{"down"}})
	s.Changed()
	s.eventually("not ready", func() bool { return s.Ready() != nil })
	s.mu.Lock()
	defer s.mu.Unlock()
	want := []string{
		"NodeHasSufficientMemory: Node n1 status is now: NodeHasSufficientMemory",
		"NodeHasNoDiskPressure: Node n1 status is now: NodeHasNoDiskPressure",
		"NodeHasSufficientPID: Node n1 status is now: NodeHasSufficientPID",
		"NodeReady: Node n1 status is now: NodeReady",
		"NodeNotReady: Node n1 status is now: NodeNotReady",
	}
	if !slices.Equal(s.events, want) {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(s.events, "\n"), strings.Join(want, "\n"))
	}
}

func TestObservesOnlyWhatIsNewer(t *testing.T) {
	s := newSetup(t)
	at := func(version string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "u", ResourceVersion: version}}
	}
	s.observe(at("5"))
	if s.Node() != nil {
		t.Error("taken over before the first look")
	}
	s.remember(at("5"))
	for _, step := range []struct{ seen, want string }{{"4", "5"}, {"5", "5"}, {"10", "10"}, {"9", "10"}} {
		s.observe(at(step.seen))
		if got := s.Node().ResourceVersion; got != step.want {
			t.Errorf("after %s: %s, want %s", step.seen, got, step.want)
		}
	}
	s.forget()
	if s.Node() == nil || s.fresh() != nil {
		t.Errorf("to be read again: %v for others, %v for the next look", s.Node(), s.fresh())
	}
	other := at("1")
	other.UID = "v"
	s.observe(other)
	if s.Node().UID != "v" || s.fresh() == nil {
		t.Error("a node that was made anew is not taken over")
	}
}
