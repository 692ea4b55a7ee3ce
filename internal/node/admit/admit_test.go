package admit_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/node/admit"
)

func asks(cpu string) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)},
	}}}}}
}

func TestRefuse(t *testing.T) {
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi"), corev1.ResourcePods: resource.MustParse("3"),
	}
	ended, deleted := asks("2"), asks("2")
	ended.Status.Phase, deleted.DeletionTimestamp = corev1.PodSucceeded, &metav1.Time{}
	whole := asks("100m")
	whole.Spec.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m")}}
	extended := func(name corev1.ResourceName, amount string) *corev1.Pod {
		p := asks("0")
		p.Spec.Containers[0].Resources.Requests[name] = resource.MustParse(amount)
		return p
	}
	elsewhere := asks("0")
	elsewhere.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	labelled, affine := asks("0"), asks("0")
	labelled.Spec.NodeSelector = map[string]string{"disk": "hdd", "new": "yes"}
	affine.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpDoesNotExist}}}},
	}}}
	windows, linux := asks("0"), asks("0")
	windows.Spec.OS, linux.Spec.OS = &corev1.PodOS{Name: corev1.Windows}, &corev1.PodOS{Name: corev1.Linux}
	sysctl := func(name string, change func(*corev1.PodSpec)) *corev1.Pod {
		p := asks("0")
		p.Spec.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "net.ipv4.tcp_syncookies", Value: "1"}, {Name: name, Value: "1"}}}
		if change != nil {
			change(&p.Spec)
		}
		return p
	}
	strict := asks("0")
	strict.Spec.SecurityContext = &corev1.PodSecurityContext{SupplementalGroupsPolicy: ptr.To(corev1.SupplementalGroupsPolicyStrict)}
	port := func(ip string, phase corev1.PodPhase, of ...func(*corev1.Pod)) *corev1.Pod {
		p := asks("0")
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 1, HostPort: 80, HostIP: ip}}
		p.Status.Phase = phase
		for _, change := range of {
			change(p)
		}
		return p
	}
	terminating := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }
	const portTaken = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
	hostIPC := func(s *corev1.PodSpec) { s.HostIPC, s.SecurityContext.Sysctls = true, s.SecurityContext.Sysctls[1:] }
	for name, tt := range map[string]struct {
		pod    *corev1.Pod
		others []*corev1.Pod
		reason string
		text   string
	}{
		"fits":                 {pod: asks("1"), others: []*corev1.Pod{asks("1")}},
		"ended do not count":   {pod: asks("2"), others: []*corev1.Pod{ended, deleted}},
		"asks for nothing":     {pod: asks("0"), others: []*corev1.Pod{asks("2")}},
		"too much":             {pod: asks("1500m"), others: []*corev1.Pod{asks("1")}, reason: "OutOfcpu", text: "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000"},
		"the whole pod asks":   {pod: whole, others: []*corev1.Pod{asks("1")}, reason: "OutOfcpu", text: "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000"},
		"too many":             {pod: asks("0"), others: []*corev1.Pod{asks("0"), asks("0"), asks("0")}, reason: "OutOfpods", text: "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"},
		"all dongles":          {pod: extended("example.com/dongle", "3"), others: []*corev1.Pod{extended("example.com/dongle", "1")}},
		"a dongle too much":    {pod: extended("example.com/dongle", "3"), others: []*corev1.Pod{extended("example.com/dongle", "2")}, reason: "OutOfexample.com/dongle", text: "Node didn't have enough resource: example.com/dongle, requested: 3, used: 2, capacity: 4"},
		"unknown to the node":  {pod: extended("example.com/other", "3")},
		"another node":         {pod: elsewhere, reason: "NodeAffinity", text: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"},
		"another, by affinity": {pod: affine, reason: "NodeAffinity", text: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"},
		"labelled just now":    {pod: labelled},
		"linux":                {pod: linux},
		"windows":              {pod: windows, reason: "PodOSNotSupported", text: "Failed to admit pod as the OS field doesn't match node OS"},
		"safe sysctl":          {pod: sysctl("net.ipv4.tcp_rmem", nil)},
		"safe, with slashes":   {pod: sysctl("kernel/shm_rmid_forced", nil)},
		"unsafe sysctl":        {pod: sysctl("kernel.msgmax", nil), reason: "SysctlForbidden", text: `forbidden sysctl: "kernel.msgmax" not allowlisted`},
		"the host's network":   {pod: sysctl("net.ipv4.tcp_rmem", func(s *corev1.PodSpec) { s.HostNetwork = true }), reason: "SysctlForbidden", text: `forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled`},
		"the host's IPC":       {pod: sysctl("kernel.shm_rmid_forced", hostIPC), reason: "SysctlForbidden", text: `forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host ipc enabled`},
		"port on all":          {pod: port("", ""), others: []*corev1.Pod{port("192.0.2.1", corev1.PodRunning)}, reason: "NodePorts", text: portTaken},
		"port of the deleted":  {pod: port("", ""), others: []*corev1.Pod{port("", corev1.PodRunning, terminating)}, reason: "NodePorts", text: portTaken},
		"port of the ended":    {pod: port("", ""), others: []*corev1.Pod{port("", corev1.PodFailed)}},
		"port elsewhere":       {pod: port("192.0.2.2", ""), others: []*corev1.Pod{port("192.0.2.1", corev1.PodRunning)}},
		"strict groups":        {pod: strict, reason: "SupplementalGroupsPolicyNotSupported", text: "SupplementalGroupsPolicy=Strict is not supported in this node"},
	} {
		seen := func(labels map[string]string) *corev1.Node {
			return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
				"example.com/dongle": resource.MustParse("4"), corev1.ResourceCPU: resource.MustParse("9"),
			}}}
		}
		now := func() *corev1.Node { return seen(map[string]string{"disk": "hdd", "new": "yes"}) }
		got := admit.Node{Others: tt.others, Allocatable: room, Seen: seen(map[string]string{"disk": "hdd"}), Reread: now}.Refuse(tt.pod)
		switch {
		case tt.reason == "" && got != nil:
			t.Errorf("%s: %+v", name, got)
		case tt.reason != "" && (got == nil || got.Reason != tt.reason || got.Message != tt.text):
			t.Errorf("%s: %+v, want %s: %s", name, got, tt.reason, tt.text)
		}
	}
}

func TestNewPodsAreRefusedWhileTheDiskIsFull(t *testing.T) {
	node := &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue}}}}
	room := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("3"), corev1.ResourceCPU: resource.MustParse("3")}
	n := admit.Node{Allocatable: room, Seen: node, Reread: func() *corev1.Node { return node }}
	if why := n.Refuse(asks("0")); why == nil || why.Reason != "Evicted" || why.Message != "The node had condition: [DiskPressure]. " {
		t.Errorf("%+v", why)
	}
	critical, priority := asks("0"), int32(2_000_000_000)
	critical.Spec.Priority = &priority
	if why := n.Refuse(critical); why != nil {
		t.Errorf("a critical pod: %+v", why)
	}
	node.Status.Conditions[0].Status = corev1.ConditionFalse
	if why := n.Refuse(asks("0")); why != nil {
		t.Errorf("without pressure: %+v", why)
	}
}

// TestStrictGroupsNeedARuntimeThatKnowsThem, as the node tells it now or told it last.
func TestStrictGroupsNeedARuntimeThatKnowsThem(t *testing.T) {
	pod := asks("0")
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{SupplementalGroupsPolicy: ptr.To(corev1.SupplementalGroupsPolicyStrict)}
	node := func(features *corev1.NodeFeatures) *corev1.Node {
		return &corev1.Node{Status: corev1.NodeStatus{Features: features}}
	}
	knows, not := node(&corev1.NodeFeatures{SupplementalGroupsPolicy: ptr.To(true)}), node(&corev1.NodeFeatures{SupplementalGroupsPolicy: ptr.To(false)})
	for name, tt := range map[string]struct {
		seen, now *corev1.Node
		want      bool
	}{
		"known": {knows, nil, true}, "known just now": {node(nil), knows, true}, "unknown": {not, not, false}, "never told": {node(nil), nil, false},
	} {
		room := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("3")}
		got := admit.Node{Allocatable: room, Seen: tt.seen, Reread: func() *corev1.Node { return tt.now }}.Refuse(pod)
		if (got == nil) != tt.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestANodeThatWasNotSeenYetKnowsItsRoom, and nothing of its labels.
func TestANodeThatWasNotSeenYetKnowsItsRoom(t *testing.T) {
	n := admit.Node{Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourcePods: resource.MustParse("3")}}
	elsewhere := asks("1")
	elsewhere.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	if why := n.Refuse(elsewhere); why != nil {
		t.Errorf("refused: %+v", why)
	}
	dongle := asks("1")
	dongle.Spec.Containers[0].Resources.Requests["example.com/dongle"] = resource.MustParse("1")
	if why := n.Refuse(dongle); why != nil {
		t.Errorf("refused for what the node may have: %+v", why)
	}
	if why := n.Refuse(asks("3")); why == nil || why.Reason != "OutOfcpu" {
		t.Errorf("refused: %+v, want for CPU", why)
	}
}

func TestPodsThatAskForNothingAreRefusedWhileMemoryIsShort(t *testing.T) {
	short := func(kinds ...corev1.NodeConditionType) (n admit.Node) {
		node := &corev1.Node{}
		for _, k := range kinds {
			node.Status.Conditions = append(node.Status.Conditions, corev1.NodeCondition{Type: k, Status: corev1.ConditionTrue})
		}
		room := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("3"), corev1.ResourceCPU: resource.MustParse("3")}
		return admit.Node{Allocatable: room, Seen: node, Reread: func() *corev1.Node { return node }}
	}
	nothing := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{}}}}
	tolerant, critical := nothing.DeepCopy(), nothing.DeepCopy()
	tolerant.Spec.Tolerations = []corev1.Toleration{{Key: "node.kubernetes.io/memory-pressure", Operator: corev1.TolerationOpExists}}
	critical.Spec.Priority = ptr.To[int32](2_000_000_000)
	const memory, disk, pid = corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure
	for name, tt := range map[string]struct {
		pod   *corev1.Pod
		short []corev1.NodeConditionType
		want  string
	}{
		"asks for nothing":      {nothing, []corev1.NodeConditionType{memory}, "The node had condition: [MemoryPressure]. "},
		"asks for something":    {asks("1"), []corev1.NodeConditionType{memory}, ""},
		"tolerates it":          {tolerant, []corev1.NodeConditionType{memory}, ""},
		"critical":              {critical, []corev1.NodeConditionType{memory, disk, pid}, ""},
		"process numbers":       {asks("1"), []corev1.NodeConditionType{pid}, "The node had condition: [PIDPressure]. "},
		"memory and disk":       {tolerant, []corev1.NodeConditionType{memory, disk}, "The node had condition: [MemoryPressure DiskPressure]. "},
		"the node has all that": {nothing, nil, ""},
	} {
		got := ""
		if why := short(tt.short...).Refuse(tt.pod); why != nil {
			got = why.Message
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
