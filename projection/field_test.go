package projection_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"laterna.dev/laterna/projection"
)

func TestFieldRef(t *testing.T) {
	pod := parse[corev1.Pod](t, `
metadata: {name: p, namespace: ns, uid: u, labels: {"x.io/a": "1"}, annotations: {"X.io/Big": "v", multi: "a\nb\n"}}
spec: {nodeName: node, serviceAccountName: sa}
status: {hostIP: 10.0.0.1, podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}, {ip: "fd00::1"}]}`)
	for _, tc := range []struct{ path, want, err string }{
		{"metadata.name", "p", ""}, {"metadata.namespace", "ns", ""}, {"metadata.uid", "u", ""},
		{"metadata.labels['x.io/a']", "1", ""}, {"metadata.labels['none']", "", ""},
		{"metadata.annotations['X.io/Big']", "v", ""}, {"metadata.annotations['multi']", "a\nb\n", ""},
		{"metadata.annotations", "X.io/Big=\"v\"\nmulti=\"a\\nb\\n\"", ""},
		{"spec.nodeName", "node", ""}, {"spec.host", "node", ""}, {"spec.serviceAccountName", "sa", ""},
		{"status.hostIP", "10.0.0.1", ""}, {"status.hostIPs", "10.0.0.1", ""}, {"status.podIP", "10.1.0.1", ""}, {"status.podIPs", "10.1.0.1,fd00::1", ""},
		{"metadata.labels['not valid']", "", "invalid key subscript in metadata.labels['not valid']"},
		{"metadata.name['a']", "", `fieldPath "metadata.name['a']" does not support subscript`},
		{"spec.containers", "", "unsupported fieldPath: spec.containers"}, {"", "", "unsupported fieldPath: "}, {"['a']", "", "unsupported fieldPath: ['a']"},
	} {
		got, err := projection.FieldRef(pod, &corev1.ObjectFieldSelector{FieldPath: tc.path})
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %q, %v; want %q, %q", tc.path, got, err, tc.want, tc.err)
		}
	}
	if _, err := projection.FieldRef(pod, &corev1.ObjectFieldSelector{APIVersion: "v2", FieldPath: "metadata.name"}); err == nil || err.Error() != "unsupported pod version: v2" {
		t.Errorf("version: %v", err)
	}
}

func TestFormatMap(t *testing.T) {
	for _, tc := range []struct {
		m    map[string]string
		want string
	}{
		{nil, ""},
		{map[string]string{"foo": "bar"}, `foo="bar"`},
		{map[string]string{"a-b": "1", "a": "2", "z": "tab\there \"q\" é\u2028"}, "a=\"2\"\na-b=\"1\"\nz=\"tab\\there \\\"q\\\" é\\u2028\""},
	} {
		if got := projection.FormatMap(tc.m); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.m, got, tc.want)
		}
	}
}

func TestResourceFieldRef(t *testing.T) {
	pod := parse[corev1.Pod](t, `
spec:
  initContainers: [{name: init, resources: {requests: {cpu: 5m}}}]
  containers:
  - name: main
    resources: {requests: {cpu: 15m, memory: 100Ki, hugepages-2Mi: 4Mi}, limits: {cpu: "1.5", memory: 4Mi, ephemeral-storage: 1G}}
  - name: bare
    resources: {limits: {cpu: "0"}}`)
	node := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("3500m"), corev1.ResourceMemory: resource.MustParse("8Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("20Gi"), "hugepages-2Mi": resource.MustParse("10Mi"),
	}
	for _, tc := range []struct{ container, ref, want, err string }{
		{"main", "{resource: requests.cpu, divisor: 1m}", "15", ""},
		{"main", "{resource: requests.cpu}", "1", ""},
		{"main", "{resource: limits.cpu}", "2", ""},
		{"main", "{resource: limits.cpu, divisor: 1m}", "1500", ""},
		{"main", "{resource: limits.memory, divisor: 1Ki}", "4096", ""},
		{"main", "{resource: limits.memory, divisor: 1k}", "4195", ""},
		{"main", "{resource: limits.memory, divisor: 1Mi}", "4", ""},
		{"main", "{resource: limits.memory, divisor: 1M}", "5", ""},
		{"main", "{resource: limits.memory}", "4194304", ""},
		{"main", "{resource: limits.memory, divisor: 1Ei}", "1", ""},
		{"main", "{resource: limits.ephemeral-storage, divisor: 1M}", "1000", ""},
		{"main", "{resource: requests.hugepages-2Mi, divisor: 1Mi}", "4", ""},
		{"bare", "{resource: limits.cpu}", "4", ""},
		{"bare", "{resource: limits.cpu, divisor: 1m}", "3500", ""},
		{"bare", "{resource: limits.memory, divisor: 1Gi}", "8", ""},
		{"bare", "{resource: limits.ephemeral-storage, divisor: 1Gi}", "20", ""},
		{"bare", "{resource: limits.hugepages-2Mi}", "0", ""},
		{"bare", "{resource: requests.cpu}", "0", ""},
		{"bare", "{resource: requests.memory}", "0", ""},
		{"bare", "{containerName: main, resource: requests.memory, divisor: 1k}", "103", ""},
		{"bare", "{containerName: init, resource: requests.cpu, divisor: 1m}", "5", ""},
		{"bare", "{containerName: none, resource: requests.cpu}", "", "container none not found"},
		{"main", "{resource: limits.gpu}", "", "unsupported container resource : limits.gpu"},
		{"main", "{resource: cpu}", "", "unsupported container resource : cpu"},
		{"main", "{resource: wishes.cpu}", "", "unsupported container resource : wishes.cpu"},
	} {
		got, err := projection.ResourceFieldRef(pod, tc.container, parse[corev1.ResourceFieldSelector](t, tc.ref), node)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && err.Error() != tc.err {
			t.Errorf("%s %s: %q, %v; want %q, %q", tc.container, tc.ref, got, err, tc.want, tc.err)
		}
	}

	pod.Spec.Resources = parse[corev1.ResourceRequirements](t, "limits: {memory: 1Gi}")
	if got, err := projection.ResourceFieldRef(pod, "bare", parse[corev1.ResourceFieldSelector](t, "{resource: limits.memory, divisor: 1Mi}"), node); err != nil || got != "1024" {
		t.Errorf("the pod's own limit: %q, %v", got, err)
	}
}
