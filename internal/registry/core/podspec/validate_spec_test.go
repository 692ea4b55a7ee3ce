package podspec

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestSpec(t *testing.T) {
	testWrong(t, []wrong{
		{"enums", with("restartPolicy: X\ndnsPolicy: W\npreemptionPolicy: Z"), []string{
			`spec.restartPolicy: Unsupported value: "X": supported values: "Always", "OnFailure", "Never"`,
			`spec.dnsPolicy: Unsupported value: "W": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"`,
			`spec.preemptionPolicy: Unsupported value: "Z": supported values: "PreemptLowerPriority", "Never"`}},
		{"names", with("nodeName: A\nhostname: a.b\nsubdomain: a_b\npriorityClassName: B\nruntimeClassName: C") + "activeDeadlineSeconds: 0", []string{
			`spec.nodeName: Invalid value: "A": ` + domain,
			"spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
			`spec.hostname: Invalid value: "a.b": must not contain dots`,
			`spec.subdomain: Invalid value: "a_b": ` + label,
			`spec.priorityClassName: Invalid value: "B": ` + domain,
			`spec.runtimeClassName: Invalid value: "C": ` + domain}},
		{"service account", "serviceAccountName: A\ncontainers: [{name: a, image: i}]", []string{`spec.serviceAccountName: Invalid value: "A": ` + domain}},
		{"node selector", with("nodeSelector: {'a b': '*'}"), []string{
			`spec.nodeSelector: Invalid value: "a b": ` + qualified,
			`spec.nodeSelector: Invalid value: "*": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`}},
		{"DNS none", with("dnsPolicy: None"), []string{"spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"}},
		{"DNS none without servers", with("dnsPolicy: None\ndnsConfig: {searches: [a]}"), []string{"spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None"}},
		{"DNS", with("dnsConfig: {nameservers: [1.1.1.1, 2.2.2.2, 3.3.3.3, x], searches: [., a_b, '*'], options: [{}]}"), []string{
			`spec.dnsConfig.nameservers: Invalid value: ["1.1.1.1","2.2.2.2","3.3.3.3","x"]: must not have more than 3 nameservers`,
			`spec.dnsConfig.nameservers[3]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
			`spec.dnsConfig.searches[2]: Invalid value: "*": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')`,
			"spec.dnsConfig.options[0]: Required value: must not be empty"}},
		{"host aliases", with("hostAliases: [{ip: x, hostnames: [A]}]"), []string{
			`spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
			`spec.hostAliases[0].hostnames[0]: Invalid value: "A": ` + domain}},
		{"gates", with("readinessGates: [{conditionType: '*'}]\nschedulingGates: [{name: a}, {name: a}]"), []string{
			`spec.readinessGates[0].conditionType: Invalid value: "*": ` + qualified, `spec.schedulingGates[1]: Duplicate value: "a"`}},
		{"tolerations", with("tolerations: [{}, {key: a, operator: Exists, value: b}, {key: a, operator: X}, {key: a, effect: W, tolerationSeconds: 1}]"), []string{
			"spec.tolerations[0].operator: Invalid value: \"\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
			"spec.tolerations[1].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
			`spec.tolerations[2].operator: Unsupported value: "X": supported values: "Equal", "Exists"`,
			"spec.tolerations[3].effect: Invalid value: \"W\": effect must be 'NoExecute' when `tolerationSeconds` is set",
			`spec.tolerations[3].effect: Unsupported value: "W": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"`}},
		{"node affinity", with("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}, preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0, preference: {matchExpressions: [{key: a, operator: In}], matchFields: [{key: x, operator: In, values: [a, b]}]}}]}}"), []string{
			"spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term",
			"spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100",
			"spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
			"spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchFields[0].values: Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
			`spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchFields[0].key: Invalid value: "x": not a valid field selector key`}},
		{"pod affinity", with("affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{namespaces: [A], topologyKey: a, matchLabelKeys: [x]}]}}"), []string{
			`spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespace: Invalid value: "A": ` + label,
			"spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set"}},
		{"spread", with("topologySpreadConstraints: [{maxSkew: 0, topologyKey: '', whenUnsatisfiable: X, minDomains: 0}]"), []string{
			"spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
			"spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
			`spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": supported values: "DoNotSchedule", "ScheduleAnyway"`,
			"spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: must be greater than zero",
			"spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not X"}},
		{"operating system", with("os: {name: plan9}"), []string{`spec.os: Unsupported value: "plan9": supported values: "linux", "windows"`}},
		{"user namespace", with("hostUsers: false\nhostPID: true"), []string{"spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false"}},
		{"claims", with("resourceClaims: [{}, {name: a, resourceClaimName: x, resourceClaimTemplateName: z}]"), []string{
			"spec.resourceClaims[0].name: Required value",
			"spec.resourceClaims[0]: Invalid value: {\"name\":\"\"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
			"spec.resourceClaims[1]: Invalid value: {\"name\":\"a\",\"resourceClaimName\":\"x\",\"resourceClaimTemplateName\":\"z\"}: at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"}},
		{"pod security", with("securityContext: {runAsUser: -1, runAsGroup: 2147483648, fsGroup: -5, supplementalGroups: [-1], fsGroupChangePolicy: X, seccompProfile: {type: Localhost}, sysctls: [{}, {name: 'A'}, {name: a.b}, {name: a.b}]}"), []string{
			"spec.securityContext.fsGroup: Invalid value: -5: must be between 0 and 2147483647, inclusive",
			"spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
			"spec.securityContext.runAsGroup: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive",
			"spec.securityContext.supplementalGroups[0]: Invalid value: -1: must be between 0 and 2147483647, inclusive",
			"spec.securityContext.sysctls[0].name: Required value",
			`spec.securityContext.sysctls[1].name: Invalid value: "A": must have at most 253 characters and match regex ` + sysctlName.String(),
			`spec.securityContext.sysctls[3].name: Duplicate value: "a.b"`,
			`spec.securityContext.fsGroupChangePolicy: Unsupported value: "X": supported values: "Always", "OnRootMismatch"`,
			"spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost"}},
		{"container security", in("securityContext: {runAsUser: -1, procMount: Unmasked, seccompProfile: {type: X, localhostProfile: ''}, appArmorProfile: {}, privileged: true, allowPrivilegeEscalation: false}"), []string{
			"spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
			"spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`",
			`spec.containers[0].securityContext.seccompProfile.type: Unsupported value: "X": supported values: "Localhost", "RuntimeDefault", "Unconfined"`,
			`spec.containers[0].securityContext.seccompProfile.localhostProfile: Invalid value: {"type":"X","localhostProfile":""}: can only be set when seccomp type is Localhost`,
			"spec.containers[0].securityContext: Invalid value: {\"privileged\":true,\"runAsUser\":-1,\"allowPrivilegeEscalation\":false,\"procMount\":\"Unmasked\",\"seccompProfile\":{\"type\":\"X\",\"localhostProfile\":\"\"},\"appArmorProfile\":{\"type\":\"\"}}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
			"spec.containers[0].securityContext.appArmorProfile.type: Required value: type is required when appArmorProfile is set"}},
	})
}

func TestUndefaultedSpec(t *testing.T) {
	errs := ValidateSpec(&corev1.PodSpec{}, field.NewPath("template", "spec"), Options{})
	compare(t, errs, []string{
		"template.spec.terminationGracePeriodSeconds: Required value",
		"template.spec.containers: Required value",
		"template.spec.restartPolicy: Required value",
		"template.spec.dnsPolicy: Required value",
	})
}

func TestTemplate(t *testing.T) {
	template := parse[corev1.PodTemplateSpec](t, `
metadata: {labels: {'a b': c}}
spec:
  containers: [{name: a, image: ' i'}]
  ephemeralContainers: [{name: e, image: i}]
`)
	SetDefaults(&template.Spec)
	compare(t, ValidateTemplate(template, field.NewPath("spec", "template")), []string{
		`spec.template.metadata.labels: Invalid value: "a b": ` + qualified,
		"spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template",
	})
}

func TestAnnotations(t *testing.T) {
	spec := parse[corev1.PodSpec](t, base)
	compare(t, ValidateAnnotations(map[string]string{
		"kubernetes.io/config.mirror":                           "x",
		"controller.kubernetes.io/pod-deletion-cost":            "+1",
		"container.apparmor.security.beta.kubernetes.io/nobody": "unconfined",
		"container.apparmor.security.beta.kubernetes.io/main":   "unconfined",
		"anything.else":               "x",
		"laterna.dev/subpath-updates": "yes",
	}, spec, field.NewPath("metadata", "annotations")), []string{
		`metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set`,
		`metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "+1": must be a 32bit integer`,
		`metadata.annotations[laterna.dev/subpath-updates]: Unsupported value: "yes": supported values: "true", "false"`,
		`metadata.annotations[container.apparmor.security.beta.kubernetes.io/nobody]: Invalid value: "nobody": container not found`,
	})
	for _, value := range []string{"true", "false"} {
		compare(t, ValidateAnnotations(map[string]string{"laterna.dev/subpath-updates": value}, spec, field.NewPath("metadata", "annotations")), nil)
	}
}

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
			`spec.volumes[0].projected.sources.secrets[0]: has duplicated path with ServiceAccountToken "t"`,
			`spec.volumes[0].projected.sources.configMap[0]: has duplicated path with ServiceAccountToken "t"`}},
		{"not honoured", `
spec:
  containers: [{name: a, image: i, readinessProbe: {exec: {command: [x]}}}]
  volumes: [{name: r, rbd: {monitors: [m], image: i}}]
  terminationGracePeriodSeconds: -1`, []string{
			"spec.volumes[0].rbd: deprecated in v1.28, non-functional in v1.31+",
			"spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
			"spec.volumes[0].rbd" + notHonoured + ": volumes of this kind are not mounted, and the pod does not start",
			"spec.containers[0].readinessProbe" + notHonoured}},
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
			`spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer`,
			"spec.imagePullSecrets" + notHonoured}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pod := parse[corev1.Pod](t, c.pod)
			SetPodDefaults(pod)
			got := Warnings(&pod.ObjectMeta, &pod.Spec, nil)
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
	pod := parse[corev1.Pod](t, "spec:\n  containers: [{name: a, image: i, readinessProbe: {exec: {command: [x]}}}]")
	SetDefaults(&pod.Spec)
	got := Warnings(&pod.ObjectMeta, &pod.Spec, field.NewPath("spec", "template"))
	if len(got) != 1 || got[0] != "spec.template.spec.containers[0].readinessProbe"+notHonoured {
		t.Errorf("warnings of a template: %q", got)
	}
}
