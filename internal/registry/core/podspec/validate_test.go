package podspec

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// base is a right spec; tests add to its container or to the spec.
const base = `
serviceAccountName: sa
containers:
- name: main
  image: i
`

// wrong is a spec, as YAML, and the errors that it must give, each exactly.
type wrong struct {
	name, spec string
	want       []string
}

func testWrong(t *testing.T, cases []wrong) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Helper()
			pod := &corev1.Pod{Spec: *parse[corev1.PodSpec](t, c.spec)}
			pod.Name = "pod"
			SetPodDefaults(pod)
			before := pod.DeepCopy()
			compare(t, ValidateSpec(&pod.Spec, field.NewPath("spec"), Options{Pod: true, PodName: pod.Name}), c.want)
			if before.String() != pod.String() {
				t.Error("validation changed the pod")
			}
		})
	}
}

func compare(t *testing.T, errs field.ErrorList, want []string) {
	t.Helper()
	var got []string
	for _, err := range errs {
		got = append(got, err.Error())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// in puts text, a container's fields in flow style, into the container.
func in(text string) string { return base + "  " + text + "\n" }

// with puts text, lines of the spec, beside the containers.
func with(text string) string { return base + text + "\n" }

const label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
const domain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const qualified = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

func TestContainers(t *testing.T) {
	testWrong(t, []wrong{
		{"right", base, nil},
		{"none", "restartPolicy: Always", []string{"spec.containers: Required value"}},
		{"no name, no image", "containers: [{}]", []string{
			"spec.containers[0].name: Required value", "spec.containers[0].image: Required value"}},
		{"bad name", "containers: [{name: A_b, image: i}]", []string{`spec.containers[0].name: Invalid value: "A_b": ` + label}},
		{"same name twice", "containers: [{name: a, image: i}, {name: a, image: i}]", []string{`spec.containers[1].name: Duplicate value: "a"`}},
		{"same name as init container", "containers: [{name: a, image: i}]\ninitContainers: [{name: a, image: i}]",
			[]string{`spec.initContainers[0].name: Duplicate value: "a"`}},
		{"image with spaces", "containers: [{name: a, image: ' i'}]", []string{`spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace`}},
		{"pull policy", in("imagePullPolicy: Sometimes"), []string{`spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"`}},
		{"termination message policy", in("terminationMessagePolicy: X"), []string{`spec.containers[0].terminationMessagePolicy: Unsupported value: "X": supported values: "File", "FallbackToLogsOnError"`}},
		{"restart policy of a container", in("restartPolicy: X"), []string{`spec.containers[0].restartPolicy: Unsupported value: "X": supported values: "Always", "Never", "OnFailure"`}},
		{"restart rules without policy", in("restartPolicyRules: [{action: Restart}]"), []string{
			"spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used",
			"spec.containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified"}},
		{"ports", in("ports: [{}, {containerPort: 70000, hostPort: -1, protocol: X, name: 'UP'}, {containerPort: 1, name: a}, {containerPort: 2, name: a}]"), []string{
			"spec.containers[0].ports[0].containerPort: Required value",
			`spec.containers[0].ports[1].name: Invalid value: "UP": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)`,
			`spec.containers[0].ports[1].name: Invalid value: "UP": must contain at least one letter (a-z)`,
			"spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
			"spec.containers[0].ports[1].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive",
			`spec.containers[0].ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"`,
			`spec.containers[0].ports[3].name: Duplicate value: "a"`}},
		{"host port twice", in("ports: [{containerPort: 1, hostPort: 5}, {containerPort: 2, hostPort: 5}]"),
			[]string{`spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//5"`}},
		{"host network ports", with("hostNetwork: true") + "initContainers: []\n", nil},
		{"other host port on the host network", "hostNetwork: true\ncontainers: [{name: a, image: i, ports: [{containerPort: 1, hostPort: 2}]}]",
			[]string{"spec.containers[0].ports[0].hostPort: Invalid value: 2: must match `containerPort` when `hostNetwork` is true"}},
		{"ephemeral", with("ephemeralContainers: [{name: main, image: i, ports: [{containerPort: 1}], targetContainerName: x}]"), []string{
			`spec.ephemeralContainers[0].name: Duplicate value: "main"`,
			`spec.ephemeralContainers[0].targetContainerName: Not found: "x"`,
			"spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container"}},
	})
}

func TestEnv(t *testing.T) {
	one := func(text string) string { return in("env: [{name: V, valueFrom: " + text + "}]") }
	const path = "spec.containers[0].env[0].valueFrom"
	testWrong(t, []wrong{
		{"relaxed names", in(`env: [{name: "a b.c-d/e:1"}]`), nil},
		{"names", in(`env: [{name: ""}, {name: "a=b"}, {name: "é"}]`), []string{
			"spec.containers[0].env[0].name: Required value",
			`spec.containers[0].env[1].name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than '='`,
			`spec.containers[0].env[2].name: Invalid value: "é": a valid environment variable name must consist only of printable ASCII characters other than '='`}},
		{"no source", one("{}"), []string{path + ": Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"}},
		{"two sources", one("{secretKeyRef: {name: a, key: b}, configMapKeyRef: {name: a, key: b}}"), []string{path + `: Invalid value: "": may not have more than one field specified at a time`}},
		{"value and source", in("env: [{name: V, value: x, valueFrom: {secretKeyRef: {name: a, key: b}}}]"), []string{path + ": Invalid value: \"\": may not be specified when `value` is not empty"}},
		{"secret key", one("{secretKeyRef: {name: A, key: 'a/b'}}"), []string{
			path + `.secretKeyRef.name: Invalid value: "A": ` + domain,
			path + `.secretKeyRef.key: Invalid value: "a/b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`}},
		{"config map key", one("{configMapKeyRef: {name: a, key: ''}}"), []string{path + ".configMapKeyRef.key: Required value"}},
		{"field", one("{fieldRef: {fieldPath: status.podIP}}"), nil},
		{"old name of a field", one("{fieldRef: {fieldPath: spec.host}}"), nil},
		{"one label", one(`{fieldRef: {fieldPath: "metadata.labels['a/b']"}}`), nil},
		{"annotation in upper case", one(`{fieldRef: {fieldPath: "metadata.annotations['A/B']"}}`), nil},
		{"field path missing", one("{fieldRef: {}}"), []string{path + ".fieldRef.fieldPath: Required value"}},
		{"field API version", one("{fieldRef: {apiVersion: v2, fieldPath: metadata.name}}"), []string{path + `.fieldRef.fieldPath: Invalid value: "metadata.name": error converting fieldPath: unsupported pod version: v2`}},
		{"all labels", one("{fieldRef: {fieldPath: metadata.labels}}"), []string{path + `.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"`}},
		{"unknown field", one("{fieldRef: {fieldPath: spec.nope}}"), []string{path + `.fieldRef.fieldPath: Invalid value: "spec.nope": error converting fieldPath: field label not supported: spec.nope`}},
		{"subscript of a name", one(`{fieldRef: {fieldPath: "metadata.name['x']"}}`), []string{path + `.fieldRef.fieldPath: Invalid value: "metadata.name['x']": error converting fieldPath: field label does not support subscript: metadata.name['x']`}},
		{"bad label key", one(`{fieldRef: {fieldPath: "metadata.labels['*']"}}`), []string{path + `.fieldRef: Invalid value: "*": ` + qualified}},
		{"resource", one("{resourceFieldRef: {resource: limits.cpu, divisor: 1m}}"), nil},
		{"huge pages", one("{resourceFieldRef: {resource: limits.hugepages-2Mi, divisor: 1Mi}}"), nil},
		{"resource missing", one("{resourceFieldRef: {}}"), []string{path + ".resourceFieldRef.resource: Required value"}},
		{"unknown resource", one("{resourceFieldRef: {resource: limits.x}}"), []string{path + `.resourceFieldRef.resource: Unsupported value: "limits.x": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"`}},
		{"divisor of cpu", one("{resourceFieldRef: {resource: requests.cpu, divisor: 1k}}"), []string{path + `.resourceFieldRef.divisor: Invalid value: "requests.cpu": only divisor's values 1m and 1 are supported with the cpu resource`}},
		{"divisor of memory", one("{resourceFieldRef: {resource: limits.memory, divisor: 2Mi}}"), []string{path + `.resourceFieldRef.divisor: Invalid value: "limits.memory": only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource`}},
		{"file key", one("{fileKeyRef: {volumeName: e, path: a/b.env, key: 'any key, 1'}}") + "volumes: [{name: e, emptyDir: {medium: Memory}}]", nil},
		{"file key of another volume", one("{fileKeyRef: {volumeName: c, path: a, key: k}}") + "volumes: [{name: c, configMap: {name: c}}]", []string{
			path + `.fileKeyRef.volumeName: Invalid value: "c": referenced volume must be of type emptyDir`}},
		{"file key outside", one("{fileKeyRef: {volumeName: e, path: a/../../b, key: 'a=b'}}") + "volumes: [{name: e, emptyDir: {}}]", []string{
			path + `.fileKeyRef.path: Invalid value: "a/../../b": must not contain '..'`,
			path + `.fileKeyRef.key: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than '='`}},
		{"file key wrong", one("{fileKeyRef: {volumeName: x, path: /a, key: ''}}"), []string{
			path + `.fileKeyRef.volumeName: Not found: "x"`,
			path + `.fileKeyRef.path: Invalid value: "/a": must be a relative path`,
			path + ".fileKeyRef.key: Required value"}},
		{"envFrom", in("envFrom: [{prefix: 'a=', secretRef: {name: ''}}, {}, {secretRef: {name: A}, configMapRef: {name: b}}]"), []string{
			`spec.containers[0].envFrom[0].prefix: Invalid value: "a=": a valid environment variable name must consist only of printable ASCII characters other than '='`,
			"spec.containers[0].envFrom[0].secretRef.name: Required value",
			"spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
			`spec.containers[0].envFrom[2].secretRef.name: Invalid value: "A": ` + domain,
			`spec.containers[0].envFrom: Invalid value: "": may not have more than one field specified at a time`}},
	})
}

func TestMounts(t *testing.T) {
	mounts := func(text string) string { return in("volumeMounts: "+text) + "volumes: [{name: v, emptyDir: {}}]" }
	const path = "spec.containers[0].volumeMounts"
	testWrong(t, []wrong{
		{"right", mounts("[{name: v, mountPath: /a, subPath: a/b}, {name: v, mountPath: /b, subPathExpr: $(X)}]"), nil},
		{"nothing", mounts("[{}]"), []string{path + "[0].name: Required value", path + `[0].name: Not found: ""`, path + "[0].mountPath: Required value"}},
		{"unknown volume", mounts("[{name: x, mountPath: /a}]"), []string{path + `[0].name: Not found: "x"`}},
		{"one path twice", mounts("[{name: v, mountPath: /a}, {name: v, mountPath: /a}]"), []string{path + `[1].mountPath: Invalid value: "/a": must be unique`}},
		{"sub-path", mounts("[{name: v, mountPath: /a, subPath: /x}, {name: v, mountPath: /b, subPath: a/../b}]"), []string{
			path + `.subPath: Invalid value: "/x": must be a relative path`, path + `.subPath: Invalid value: "a/../b": must not contain '..'`}},
		{"both sub-paths", mounts("[{name: v, mountPath: /a, subPath: x, subPathExpr: z}]"), []string{path + `[0].subPathExpr: Invalid value: "z": subPathExpr and subPath are mutually exclusive`}},
		{"propagation", mounts("[{name: v, mountPath: /a, mountPropagation: Bidirectional}, {name: v, mountPath: /b, mountPropagation: X}]"), []string{
			path + ".mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
			path + `.mountPropagation: Unsupported value: "X": supported values: "Bidirectional", "HostToContainer", "None"`}},
		{"recursive read-only", mounts("[{name: v, mountPath: /a, recursiveReadOnly: Enabled, mountPropagation: HostToContainer}, {name: v, mountPath: /b, recursiveReadOnly: X}]"), []string{
			path + ".recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
			path + ".recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None or not specified",
			path + `.recursiveReadOnly: Unsupported value: "X": supported values: "Disabled", "Enabled", "IfPossible"`}},
		{"devices", in("volumeDevices: [{name: v, devicePath: /d}, {name: x, devicePath: ''}, {name: p, devicePath: /a/../b}]") +
			"volumes: [{name: v, emptyDir: {}}, {name: p, persistentVolumeClaim: {claimName: c}}]", []string{
			`spec.containers[0].volumeDevices[0].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode`,
			`spec.containers[0].volumeDevices[1].name: Not found: "x"`,
			"spec.containers[0].volumeDevices[1].devicePath: Required value",
			`spec.containers[0].volumeDevices[2].devicePath: Invalid value: "/a/../b": can not contain backsteps ('..')`}},
	})
}

func TestProbesAndHooks(t *testing.T) {
	const path = "spec.containers[0]."
	testWrong(t, []wrong{
		{"right", in("livenessProbe: {exec: {command: [x]}}\n  lifecycle: {postStart: {sleep: {seconds: 0}}}"), nil},
		{"no handler", in("livenessProbe: {}"), []string{path + "livenessProbe: Required value: must specify a handler type"}},
		{"two handlers", in("readinessProbe: {exec: {command: [x]}, tcpSocket: {port: 1}}"), []string{path + "readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"}},
		{"exec without command", in("startupProbe: {exec: {}}"), []string{path + "startupProbe.exec.command: Required value"}},
		{"http", in("livenessProbe: {httpGet: {port: 0, scheme: FTP, httpHeaders: [{name: 'a b', value: x}]}}"), []string{
			path + "livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
			path + `livenessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"`,
			path + `livenessProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')`}},
		{"numbers", in("livenessProbe: {tcpSocket: {port: web}, initialDelaySeconds: -1, successThreshold: 2, terminationGracePeriodSeconds: 0}"), []string{
			path + "livenessProbe.initialDelaySeconds: Invalid value: -1: must be greater than or equal to 0",
			path + "livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
			path + "livenessProbe.successThreshold: Invalid value: 2: must be 1"}},
		{"grace of readiness", in("readinessProbe: {tcpSocket: {port: 1}, terminationGracePeriodSeconds: 5}"), []string{
			path + "readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes"}},
		{"sleep", in("lifecycle: {preStop: {sleep: {seconds: 31}}}"), []string{path + "lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)"}},
		{"hook without handler", in("lifecycle: {preStop: {}}"), []string{path + "lifecycle.preStop: Required value: must specify a handler type"}},
		{"init container", with("initContainers: [{name: i, image: i, lifecycle: {}, livenessProbe: {exec: {command: [x]}}}]"), []string{
			"spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always",
			"spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"}},
		{"sidecar", with("initContainers: [{name: i, image: i, restartPolicy: Always, livenessProbe: {exec: {command: [x]}}}]"), nil},
	})
}

func TestResources(t *testing.T) {
	const path = "spec.containers[0].resources"
	testWrong(t, []wrong{
		{"right", in("resources: {limits: {cpu: 1, memory: 1Gi, ephemeral-storage: 1, example.com/gpu: 2}, requests: {cpu: 500m}}"), nil},
		{"request over limit", in("resources: {limits: {cpu: 1}, requests: {cpu: 2}}"), []string{path + `.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`}},
		{"negative", in("resources: {limits: {cpu: -1}}"), []string{
			path + `.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0`,
			path + `.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0`}},
		{"names", in("resources: {requests: {pods: 1, nope: 1, 'a b': 1}}"), []string{
			path + `.requests[a b]: Invalid value: "a b": ` + qualified,
			path + `.requests[nope]: Invalid value: "nope": must be a standard resource type or fully qualified`,
			path + `.requests[nope]: Invalid value: "nope": must be a standard resource for containers`,
			path + `.requests[pods]: Invalid value: "pods": must be a standard resource for containers`}},
		{"devices are not shared out", in("resources: {limits: {example.com/gpu: 2}, requests: {example.com/gpu: 1}}"), []string{path + `.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2`}},
		{"devices without limit", in("resources: {requests: {example.com/gpu: 1}}"), []string{path + ".limits: Required value: Limit must be set for non overcommitable resources"}},
		{"half a device", in("resources: {limits: {example.com/gpu: 500m}}"), []string{
			path + `.limits[example.com/gpu]: Invalid value: "500m": must be an integer`,
			path + `.requests[example.com/gpu]: Invalid value: "500m": must be an integer`}},
		{"huge pages alone", in("resources: {limits: {hugepages-2Mi: 4Mi}}"), []string{path + ": Forbidden: HugePages require cpu or memory"}},
		{"part of a page", in("resources: {limits: {cpu: 1, hugepages-2Mi: 3Mi}}"), []string{
			path + `.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi`,
			path + `.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi`}},
		{"claims", in("resources: {claims: [{name: ''}, {name: a}]}"), []string{
			path + ".claims[0]: Required value",
			path + `.claims[1]: Not found: "a": must be one of the names in pod.spec.resourceClaims which is empty`}},
		{"pod level", with("resources: {limits: {cpu: 1}, requests: {cpu: 1}}"), nil},
		{"pod level names", with("resources: {limits: {example.com/x: 1}}"), []string{
			`spec.resources.limits[example.com/x]: Unsupported value: "example.com/x": supported values: "cpu", "hugepages-", "memory"`}},
		{"pod level less than its containers", in("resources: {requests: {cpu: 2}, limits: {cpu: 3}}") + "resources: {limits: {cpu: 1}, requests: {cpu: 1}}", []string{
			`spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 2`,
			`spec.resources.containers[0][cpu].limits: Invalid value: "3": must be less than or equal to pod limits of 1`}},
		{"overhead", with("overhead: {nope: 1}"), []string{
			`spec.overhead.limits[nope]: Invalid value: "nope": must be a standard resource type or fully qualified`,
			`spec.overhead.limits[nope]: Invalid value: "nope": must be a standard resource for containers`}},
	})
}
