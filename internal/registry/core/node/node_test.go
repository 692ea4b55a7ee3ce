package node

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

func TestDefaults(t *testing.T) {
	s := resourcetest.Scheme(t, Definition().Register)
	n := &corev1.Node{
		Spec:   corev1.NodeSpec{PodCIDR: "10.0.0.0/24"},
		Status: corev1.NodeStatus{Capacity: corev1.ResourceList{"cpu": resource.MustParse("2")}},
	}
	s.Default(n)
	if cpu := n.Status.Allocatable["cpu"]; cpu.Value() != 2 || !slices.Equal(n.Spec.PodCIDRs, []string{"10.0.0.0/24"}) {
		t.Errorf("defaulted to %+v", n)
	}
	n = &corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: []string{"10.1.0.0/24", "fd00::/64"}}}
	s.Default(n)
	if n.Spec.PodCIDR != "10.1.0.0/24" || len(n.Spec.PodCIDRs) != 2 {
		t.Errorf("defaulted to %+v", n.Spec)
	}
}

func TestValidate(t *testing.T) {
	quantities := func(name, value string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceName(name): resource.MustParse(value)}
	}
	taint := func(key, value, effect string) corev1.Taint {
		return corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)}
	}
	for _, tc := range []struct {
		name string
		node corev1.Node
		want []string
	}{
		{"empty", corev1.Node{}, nil},
		{"taints", corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{taint("a/b", "c", "NoSchedule"), taint("a/b", "c", "NoExecute")}}}, nil},
		{"twice", corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{taint("a", "1", "NoSchedule"), taint("a", "2", "NoSchedule")}}}, []string{"metadata.taints[1]: Duplicate value", "taints must be unique by key and effect pair"}},
		{"bad taint", corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{taint("a b", "!", "Never"), taint("c", "", "")}}}, []string{
			"metadata.taints[0].key: Invalid value", "metadata.taints[0].value: Invalid value", `metadata.taints[0].effect: Unsupported value: "Never"`, "metadata.taints[1].effect: Required value",
		}},
		{"negative", corev1.Node{Status: corev1.NodeStatus{Capacity: quantities("memory", "-1")}}, []string{`status.capacity.memory: Invalid value: "-1": must be greater than or equal to 0`}},
		{"half a pod", corev1.Node{Status: corev1.NodeStatus{Allocatable: quantities("pods", "500m")}}, []string{"status.allocatable.pods: Invalid value", "must be an integer"}},
		{"half a device", corev1.Node{Status: corev1.NodeStatus{Capacity: quantities("example.com/device", "1500m")}}, []string{"status.capacity.example.com/device"}},
		{"half a core", corev1.Node{Status: corev1.NodeStatus{Capacity: quantities("cpu", "500m")}}, nil},
		{"bad cidr", corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0"}}}, []string{`spec.podCIDRs[0]: Invalid value: "10.0.0.0"`}},
		{"two of a family", corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0/24", "10.1.0.0/24"}}}, []string{"may specify no more than one CIDR for each IP family"}},
		{"same twice", corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0/24", "10.0.0.0/24"}}}, []string{"spec.podCIDRs[1]: Duplicate value"}},
		{"both families", corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0/24", "fd00::/64"}}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) { matchErrors(t, validate(&tc.node), tc.want) })
	}
}

func TestValidateUpdate(t *testing.T) {
	old := corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0/24"}, ProviderID: "a"}}
	for _, tc := range []struct {
		name string
		spec corev1.NodeSpec
		want []string
	}{
		{"same", old.Spec, nil},
		{"cordoned", corev1.NodeSpec{PodCIDRs: old.Spec.PodCIDRs, ProviderID: "a", Unschedulable: true}, nil},
		{"cidr", corev1.NodeSpec{ProviderID: "a"}, []string{`spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid`}},
		{"provider", corev1.NodeSpec{PodCIDRs: old.Spec.PodCIDRs, ProviderID: "b"}, []string{`spec.providerID: Forbidden: node updates may not change providerID except from "" to valid`}},
		{"external", corev1.NodeSpec{PodCIDRs: old.Spec.PodCIDRs, ProviderID: "a", DoNotUseExternalID: "x"}, []string{"spec.externalID: Forbidden: may not be updated"}},
	} {
		t.Run(tc.name, func(t *testing.T) { matchErrors(t, validateUpdate(&corev1.Node{Spec: tc.spec}, &old), tc.want) })
	}
	first := &corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0/24"}, ProviderID: "a"}}
	matchErrors(t, validateUpdate(first, &corev1.Node{}), nil)
}

func matchErrors(t *testing.T, errs field.ErrorList, want []string) {
	t.Helper()
	if len(want) == 0 && len(errs) > 0 {
		t.Fatalf("unexpected: %v", errs)
	}
	for _, w := range want {
		if err := errs.ToAggregate(); err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("error %v\nlacks %s", err, w)
		}
	}
}

func TestStatusAndSpecAreWrittenApart(t *testing.T) {
	paths, err := Definition().Storages(resourcetest.Env(t, Definition().Register))
	if err != nil {
		t.Fatal(err)
	}
	ctx := resourcetest.Context(t, "")
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{OSImage: "os"}}}
	obj, err := paths["nodes"].(rest.Creater).Create(ctx, n, resourcetest.Allow, &metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := obj.(*corev1.Node)
	if got.Status.NodeInfo.OSImage != "os" {
		t.Errorf("a node cannot bring its status: %+v", got.Status)
	}
	put := func(path string, n *corev1.Node) (*corev1.Node, error) {
		obj, _, err := paths[path].(rest.Updater).Update(ctx, "n", rest.DefaultUpdatedObjectInfo(n), resourcetest.Allow, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		got, _ := obj.(*corev1.Node)
		return got, err
	}
	got.Spec.Unschedulable, got.Status.NodeInfo.OSImage = true, "other"
	if got, err = put("nodes", got); err != nil || !got.Spec.Unschedulable || got.Status.NodeInfo.OSImage != "os" {
		t.Fatalf("update of the node: %+v, %v", got, err)
	}
	got.Spec.Unschedulable, got.Status.NodeInfo.OSImage = false, "other"
	if got, err = put("nodes/status", got); err != nil || !got.Spec.Unschedulable || got.Status.NodeInfo.OSImage != "other" {
		t.Fatalf("update of the status: %+v, %v", got, err)
	}
	twice := corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}
	got.Status.Addresses = []corev1.NodeAddress{twice, twice}
	if _, err := put("nodes/status", got); err == nil || !strings.Contains(err.Error(), "status.addresses[1]: Duplicate value") {
		t.Errorf("an address twice: %v", err)
	}
}

func TestRow(t *testing.T) {
	ready := func(s corev1.ConditionStatus) []corev1.NodeCondition {
		return []corev1.NodeCondition{{Type: corev1.NodeMemoryPressure, Status: "True"}, {Type: corev1.NodeReady, Status: s}}
	}
	full := corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{
			"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "worker", "other": "x",
		}},
		Spec: corev1.NodeSpec{Unschedulable: true},
		Status: corev1.NodeStatus{
			Conditions: ready("True"),
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "n"}, {Type: corev1.NodeInternalIP, Address: "10.0.0.1"}},
			NodeInfo:   corev1.NodeSystemInfo{KubeletVersion: "v1", OSImage: "Debian", KernelVersion: "6.1", ContainerRuntimeVersion: "containerd://1.6"},
		},
	}
	want := []any{"n", "Ready,SchedulingDisabled", "control-plane,worker", "<unknown>", "v1", "10.0.0.1", "<none>", "Debian", "6.1", "containerd://1.6"}
	if row := columns().Row(&full); !slices.Equal(row, want) || len(row) != len(columns().Columns) {
		t.Errorf("row %v\nwant %v", row, want)
	}
	want = []any{"e", "Unknown", "<none>", "<unknown>", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"}
	if row := columns().Row(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "e"}}); !slices.Equal(row, want) {
		t.Errorf("row %v\nwant %v", row, want)
	}
	if got := status(&corev1.Node{Status: corev1.NodeStatus{Conditions: ready("Unknown")}}); got != "NotReady" {
		t.Errorf("silent node is %s", got)
	}
}

func TestFieldThatMeansNothingIsWarnedOf(t *testing.T) {
	r := rules()
	n := &corev1.Node{Spec: corev1.NodeSpec{DoNotUseExternalID: "i-1"}}
	want := []string{"spec.externalID: this field is deprecated, and is unused by Kubernetes"}
	if got := r.WarnCreate(t.Context(), n); !slices.Equal(got, want) {
		t.Errorf("create: %q", got)
	}
	if got := r.WarnUpdate(t.Context(), n, n); !slices.Equal(got, want) {
		t.Errorf("update: %q", got)
	}
	if got := r.WarnCreate(t.Context(), &corev1.Node{}); len(got) != 0 {
		t.Errorf("a plain node: %q", got)
	}
}
