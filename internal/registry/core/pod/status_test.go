package pod

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPrepareStatus(t *testing.T) {
	old := withSpec(t, oneContainer)
	deleted := metav1.Now()
	old.DeletionTimestamp = &deleted
	old.OwnerReferences = []metav1.OwnerReference{{Name: "owner"}}
	old.Status = corev1.PodStatus{QOSClass: corev1.PodQOSBestEffort, ObservedGeneration: 3, Conditions: []corev1.PodCondition{
		{Type: "A", ObservedGeneration: 1}, {Type: "A", ObservedGeneration: 2}, {Type: "B", ObservedGeneration: 3}}}
	p := old.DeepCopy()
	p.Spec.Containers[0].Image = "other"
	p.OwnerReferences = nil
	p.Status = corev1.PodStatus{PodIP: "10.0.0.1", Conditions: []corev1.PodCondition{
		{Type: "A"}, {Type: "A", ObservedGeneration: 9}, {Type: "C"}, {Type: "B"}}}
	prepareStatus(p, old)
	if p.Spec.Containers[0].Image != "i:1" || len(p.OwnerReferences) != 1 || p.DeletionTimestamp != nil {
		t.Errorf("spec %v, owners %v, deletion %v", p.Spec.Containers, p.OwnerReferences, p.DeletionTimestamp)
	}
	if s := p.Status; s.QOSClass != corev1.PodQOSBestEffort || s.ObservedGeneration != 3 || len(s.PodIPs) != 1 || s.PodIPs[0].IP != "10.0.0.1" {
		t.Errorf("status %+v", s)
	}
	for i, want := range []int64{1, 9, 0, 3} {
		if got := p.Status.Conditions[i].ObservedGeneration; got != want {
			t.Errorf("condition %d observed generation %d, want %d", i, got, want)
		}
	}
}

func TestSyncPodIPs(t *testing.T) {
	for _, c := range []struct {
		name       string
		ip         string
		ips        []string
		wantIP     string
		wantFirst  string
		wantLength int
	}{
		{"none", "", nil, "", "", 0},
		{"old writer", "a", nil, "a", "a", 1},
		{"new writer", "", []string{"a", "b"}, "a", "a", 2},
		{"both agree", "a", []string{"a", "b"}, "a", "a", 2},
		{"both differ", "x", []string{"a", "b"}, "x", "x", 1},
	} {
		s := corev1.PodStatus{PodIP: c.ip}
		for _, ip := range c.ips {
			s.PodIPs = append(s.PodIPs, corev1.PodIP{IP: ip})
		}
		syncPodIPs(&s)
		if s.PodIP != c.wantIP || len(s.PodIPs) != c.wantLength || primaryIP(&s) != c.wantFirst {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

func TestValidateStatus(t *testing.T) {
	ended := func(name string, code int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}
	}
	running := func(name string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	}
	list := func(s ...corev1.ContainerStatus) []corev1.ContainerStatus { return s }
	const never, onFailure = oneContainer + "\nrestartPolicy: Never", oneContainer + "\nrestartPolicy: OnFailure"
	for _, c := range []struct {
		name, spec string
		old, now   corev1.PodStatus
		want       []string
	}{
		{"right", oneContainer, corev1.PodStatus{}, corev1.PodStatus{HostIP: "10.0.0.2", HostIPs: []corev1.HostIP{{IP: "10.0.0.2"}},
			PodIPs: []corev1.PodIP{{IP: "10.1.0.1"}, {IP: "fd00::1"}}, Conditions: []corev1.PodCondition{{Type: corev1.PodReady}, {Type: "example.com/ok"}}}, nil},
		{"condition type", oneContainer, corev1.PodStatus{}, corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: "a b"}}},
			[]string{"status.conditions[0].Type: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"}},
		{"QOS class", oneContainer, corev1.PodStatus{QOSClass: "BestEffort"}, corev1.PodStatus{QOSClass: "Guaranteed"},
			[]string{`status.qosClass: Invalid value: "Guaranteed": field is immutable`}},
		{"addresses", oneContainer, corev1.PodStatus{}, corev1.PodStatus{HostIP: "1.1.1.1", HostIPs: []corev1.HostIP{{IP: "2.2.2.2"}},
			PodIPs: []corev1.PodIP{{IP: "x"}}}, []string{
			`status.podIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
			"status.hostIPs[0].ip: Invalid value: \"2.2.2.2\": must be equal to `hostIP`"}},
		{"two addresses of one family", oneContainer, corev1.PodStatus{}, corev1.PodStatus{PodIPs: []corev1.PodIP{{IP: "1.1.1.1"}, {IP: "1.1.1.1"}}}, []string{
			`status.podIPs[1]: Duplicate value: "1.1.1.1"`,
			`status.podIPs: Invalid value: ["1.1.1.1","1.1.1.1"]: may specify no more than one IP for each IP family`}},
		{"nominated node", oneContainer, corev1.PodStatus{NominatedNodeName: "A"}, corev1.PodStatus{NominatedNodeName: "A"}, nil},
		{"restarted although never", never, corev1.PodStatus{ContainerStatuses: list(ended("main", 1))}, corev1.PodStatus{ContainerStatuses: list(running("main"))},
			[]string{"status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"}},
		{"restarted after a failure", onFailure, corev1.PodStatus{ContainerStatuses: list(ended("main", 1))}, corev1.PodStatus{ContainerStatuses: list(running("main"))}, nil},
		{"restarted after success", onFailure, corev1.PodStatus{ContainerStatuses: list(ended("main", 0))}, corev1.PodStatus{ContainerStatuses: list(running("main"))},
			[]string{"status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"}},
		{"always restarted", oneContainer, corev1.PodStatus{ContainerStatuses: list(ended("main", 0))}, corev1.PodStatus{ContainerStatuses: list(running("main"))}, nil},
		{"sidecar restarted", never + "\ninitContainers: [{name: s, image: i, restartPolicy: Always}]",
			corev1.PodStatus{InitContainerStatuses: list(ended("s", 0))}, corev1.PodStatus{InitContainerStatuses: list(running("s"))}, nil},
		{"init container restarted", never + "\ninitContainers: [{name: s, image: i}]",
			corev1.PodStatus{InitContainerStatuses: list(ended("s", 0)), Phase: corev1.PodFailed}, corev1.PodStatus{InitContainerStatuses: list(running("s"))},
			[]string{"status.initContainerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"}},
		{"init container restarted in a new sandbox", never + "\ninitContainers: [{name: s, image: i}]",
			corev1.PodStatus{InitContainerStatuses: list(ended("s", 0)), Phase: corev1.PodPending}, corev1.PodStatus{InitContainerStatuses: list(running("s"))}, nil},
		{"restarted by its own policy", "restartPolicy: Never\ncontainers: [{name: main, image: i, restartPolicy: Always}]",
			corev1.PodStatus{ContainerStatuses: list(ended("main", 1))}, corev1.PodStatus{ContainerStatuses: list(running("main"))}, nil},
		{"restarted by its own rule", "restartPolicy: Never\ncontainers: [{name: main, image: i, restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]}]",
			corev1.PodStatus{ContainerStatuses: list(ended("main", 42))}, corev1.PodStatus{ContainerStatuses: list(running("main"))}, nil},
		{"restarted against its own rule", "restartPolicy: Never\ncontainers: [{name: main, image: i, restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]}]",
			corev1.PodStatus{ContainerStatuses: list(ended("main", 41))}, corev1.PodStatus{ContainerStatuses: list(running("main"))},
			[]string{"status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"}},
		{"restarted with all", "restartPolicy: Never\ncontainers: [{name: a, image: i, restartPolicy: Never, restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [42]}}]}, {name: main, image: i}]",
			corev1.PodStatus{ContainerStatuses: list(ended("main", 0))}, corev1.PodStatus{ContainerStatuses: list(running("main"))}, nil},
		{"ephemeral container restarted", oneContainer, corev1.PodStatus{EphemeralContainerStatuses: list(ended("e", 1))}, corev1.PodStatus{EphemeralContainerStatuses: list(running("e"))},
			[]string{"status.ephemeralContainerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			old := withSpec(t, c.spec)
			p := old.DeepCopy()
			old.Status, p.Status = c.old, c.now
			compare(t, validateStatus(p, old), c.want...)
		})
	}
}

func TestWarnStatus(t *testing.T) {
	p := &corev1.Pod{Status: corev1.PodStatus{PodIPs: []corev1.PodIP{{IP: "fd00:0::1"}}}}
	if w := warnStatus(p); len(w) != 1 || w[0] != `status.podIPs[0].ip: IPv6 address "fd00:0::1" should be in RFC 5952 canonical format ("fd00::1")` {
		t.Errorf("warnings %q", w)
	}
}
