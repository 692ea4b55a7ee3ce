package podspec_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestWarnings(t *testing.T) {
	const notHonoured = ": this field is not honoured by Laterna"
	for _, c := range []struct {
		name, pod string
		want      []string
	}{
		{"nothing to say", "spec:\n  containers: [{name: a, image: i}]", nil},
		{"variables", `
spec:
  containers: [{name: a, image: i, env: [{name: X, value: 1a}, {name: X, value: $(X)2}, {name: X, value: $(X)}, {name: X, value: c}]}]`, []string{
			`spec.containers[0].env[2]: hides previous definition of "X", which may be dropped when using apply`,
			`spec.containers[0].env[3]: hides previous definition of "X", which may be dropped when using apply`}},
		{"ports", `
spec:
  containers:
  - {name: a, image: i, ports: [{containerPort: 1}, {containerPort: 1}, {containerPort: 1, hostPort: 3}, {containerPort: 2, hostPort: 4}, {containerPort: 2, hostPort: 4, hostIP: 1.2.3.4}]}`, []string{
			"spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
			"spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[0]",
			"spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[1]",
			"spec.containers[0].ports[4]: dangerously ambiguous port definition with spec.containers[0].ports[3]"}},
		{"paths of tokens", `
spec:
  containers: [{name: a, image: i}]
  volumes: [{name: p, projected: {sources: [{serviceAccountToken: {path: t}}, {secret: {name: s, items: [{key: k, path: t}]}}, {configMap: {name: c, items: [{key: k, path: t}]}}]}}]`, []string{
			`volume "p" (Projected): overlapping paths: "t" (Secret "s") with "t" (ServiceAccountToken)`,
			`volume "p" (Projected): overlapping paths: "t" (ConfigMap "c") with "t" (ServiceAccountToken)`,
			`volume "p" (Projected): overlapping paths: "t" (ConfigMap "c") with "t" (Secret "s")`}},
		{"names of ports", `
spec:
  containers: [{name: a, image: i, ports: [{name: web, containerPort: 1}]}, {name: b, image: i, ports: [{name: web, containerPort: 2}, {name: db, containerPort: 3}]}]`, []string{
			`spec.containers[1].ports[0]: duplicate port name "web" with spec.containers[0].ports[0], services and probes that select ports by name will use spec.containers[0].ports[0]`}},
		{"ports of an address without a port of the host", `
spec:
  containers: [{name: a, image: i, ports: [{containerPort: 1, hostIP: 1.2.3.4}]}]`, []string{
			"spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:1 Protocol:TCP HostIP:1.2.3.4}"}},
		{"spellings of addresses", `
spec:
  containers: [{name: a, image: i}]
  dnsConfig: {nameservers: [1.1.1.1, 010.0.0.1, '::ffff:1.2.3.4']}
  hostAliases: [{ip: '0::1'}]`, []string{
			`spec.dnsConfig.nameservers[1]: non-standard IP address "010.0.0.1" is invalid: use "10.0.0.1"`,
			`spec.dnsConfig.nameservers[2]: non-standard IP address "::ffff:1.2.3.4" is invalid: use "1.2.3.4"`,
			`spec.hostAliases[0].ip: IPv6 address "0::1" should be in RFC 5952 canonical format ("::1")`}},
		{"annotations of seccomp", `
metadata: {annotations: {seccomp.security.alpha.kubernetes.io/pod: x, container.seccomp.security.alpha.kubernetes.io/a: x, container.seccomp.security.alpha.kubernetes.io/b: x}}
spec:
  containers: [{name: a, image: i}, {name: b, image: i, securityContext: {seccompProfile: {type: Unconfined}}}]`, []string{
			`metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the "seccompProfile" field instead`,
			`metadata.annotations[container.seccomp.security.alpha.kubernetes.io/a]: non-functional in v1.27+; use the "seccompProfile" field instead`}},
		{"spread over no pod", `
spec:
  containers: [{name: a, image: i}]
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: k, whenUnsatisfiable: ScheduleAnyway}]
  affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: k}]}}`, []string{
			"spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
			"spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: a null labelSelector results in matching no pod"}},
		{"not honoured", `
spec:
  containers: [{name: a, image: i, securityContext: {seLinuxOptions: {level: l}}}]
  volumes: [{name: r, rbd: {monitors: [m], image: i}}]
  terminationGracePeriodSeconds: -1`, []string{
			"spec.volumes[0].rbd: deprecated in v1.28, non-functional in v1.31+",
			"spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
			"spec.volumes[0].rbd" + notHonoured + ": volumes of this kind are not mounted, and the pod does not start",
			"spec.containers[0].securityContext.seLinuxOptions" + notHonoured}},
		{"quantities and names", `
metadata: {annotations: {scheduler.alpha.kubernetes.io/critical-pod: ''}}
spec:
  containers: [{name: a, image: i, resources: {limits: {memory: 100m}}}]
  hostAliases: [{ip: 1.1.1.1}, {ip: 1.1.1.1}]
  imagePullSecrets: [{name: a}, {name: a}, {}]`, []string{
			`metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the "priorityClassName" field instead`,
			`spec.hostAliases[1].ip: duplicate ip "1.1.1.1"`,
			`spec.imagePullSecrets[1].name: duplicate name "a"`,
			`spec.imagePullSecrets[2].name: invalid empty name ""`,
			`spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer`,
			`spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pod := podspectest.Parse[corev1.Pod](t, c.pod)
			podspec.SetPodDefaults(pod)
			got := podspec.Warnings(&pod.ObjectMeta, &pod.Spec, nil)
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
	pod := podspectest.Parse[corev1.Pod](t, "spec:\n  containers: [{name: a, image: i, securityContext: {seLinuxOptions: {level: l}}}]")
	podspec.SetDefaults(&pod.Spec)
	got := podspec.Warnings(&pod.ObjectMeta, &pod.Spec, field.NewPath("spec", "template"))
	if len(got) != 1 || got[0] != "spec.template.spec.containers[0].securityContext.seLinuxOptions"+notHonoured {
		t.Errorf("warnings of a template: %q", got)
	}
}
