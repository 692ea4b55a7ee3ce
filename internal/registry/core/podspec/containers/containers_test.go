package containers_test

import (
	"strings"
	"testing"

	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestContainers(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", podspectest.Base),
		wrong("none", "restartPolicy: Always", "spec.containers: Required value"),
		wrong("no name, no image", "containers: [{}]",
			"spec.containers[0].name: Required value", "spec.containers[0].image: Required value"),
		wrong("bad name", "containers: [{name: A_b, image: i}]", `spec.containers[0].name: Invalid value: "A_b": `+podspectest.Label),
		wrong("same name twice", "containers: [{name: a, image: i}, {name: a, image: i}]", `spec.containers[1].name: Duplicate value: "a"`),
		wrong("same name as init container", "containers: [{name: a, image: i}]\ninitContainers: [{name: a, image: i}]",
			`spec.initContainers[0].name: Duplicate value: "a"`),
		wrong("image with spaces", "containers: [{name: a, image: ' i'}]", `spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace`),
		wrong("pull policy", podspectest.In("imagePullPolicy: Sometimes"), `spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"`),
		wrong("termination message policy", podspectest.In("terminationMessagePolicy: X"), `spec.containers[0].terminationMessagePolicy: Unsupported value: "X": supported values: "File", "FallbackToLogsOnError"`),
		wrong("restart policy of a container", podspectest.In("restartPolicy: X"), `spec.containers[0].restartPolicy: Unsupported value: "X": supported values: "Always", "Never", "OnFailure"`),
		wrong("restart rules without policy", podspectest.In("restartPolicyRules: [{action: Restart}]"),
			"spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used",
			"spec.containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified"),
		wrong("ports", podspectest.In("ports: [{}, {containerPort: 70000, hostPort: -1, protocol: X, name: 'UP'}, {containerPort: 1, name: a}, {containerPort: 2, name: a}]"),
			"spec.containers[0].ports[0].containerPort: Required value",
			`spec.containers[0].ports[1].name: Invalid value: "UP": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)`,
			`spec.containers[0].ports[1].name: Invalid value: "UP": must contain at least one letter (a-z)`,
			"spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
			"spec.containers[0].ports[1].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive",
			`spec.containers[0].ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"`,
			`spec.containers[0].ports[3].name: Duplicate value: "a"`),
		wrong("host port twice", podspectest.In("ports: [{containerPort: 1, hostPort: 5}, {containerPort: 2, hostPort: 5}]"),
			`spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//5"`),
		wrong("host network ports", podspectest.With("hostNetwork: true")+"initContainers: []\n"),
		wrong("other host port on the host network", "hostNetwork: true\ncontainers: [{name: a, image: i, ports: [{containerPort: 1, hostPort: 2}]}]",
			"spec.containers[0].ports[0].hostPort: Invalid value: 2: must match `containerPort` when `hostNetwork` is true"),
		wrong("ephemeral", podspectest.With("ephemeralContainers: [{name: main, image: i, ports: [{containerPort: 1}], targetContainerName: x}]"),
			`spec.ephemeralContainers[0].name: Duplicate value: "main"`,
			`spec.ephemeralContainers[0].targetContainerName: Not found: "x"`,
			"spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container"),
	)
}

func TestRestartRules(t *testing.T) {
	const path = "spec.containers[0]."
	rules := "[" + strings.Repeat("{action: Restart, exitCodes: {operator: In, values: [1]}},", 21) + "]"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("own policy", podspectest.In("restartPolicy: Never")),
		wrong("a rule", podspectest.In("restartPolicy: Never\n  restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]")),
		wrong("policy", podspectest.In("restartPolicy: Sometimes"), path+`restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"`),
		wrong("rules without policy", podspectest.In("restartPolicyRules: [{action: Restart}]"),
			path+"restartPolicy: Required value: must specify restartPolicy when restart rules are used",
			path+"restartPolicyRules[0].exitCodes: Required value: must be specified"),
		wrong("all containers", podspectest.In("restartPolicy: Always\n  restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: NotIn, values: [0]}}]")),
		wrong("words", podspectest.In("restartPolicy: Never\n  restartPolicyRules: [{exitCodes: {values: [1]}}, {action: Stop, exitCodes: {operator: Equals, values: [1]}}]"),
			path+`restartPolicyRules[0].action: Unsupported value: "": supported values: "Restart", "RestartAllContainers"`,
			path+`restartPolicyRules[0].exitCodes.operator: Unsupported value: "": supported values: "In", "NotIn"`,
			path+`restartPolicyRules[1].action: Unsupported value: "Stop": supported values: "Restart", "RestartAllContainers"`,
			path+`restartPolicyRules[1].exitCodes.operator: Unsupported value: "Equals": supported values: "In", "NotIn"`),
		wrong("too many rules", podspectest.In("restartPolicy: Never\n  restartPolicyRules: "+rules), path+"restartPolicyRules: Too many: 21: must have at most 20 items"),
		wrong("too many codes", podspectest.In("restartPolicy: Never\n  restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: ["+strings.Repeat("1,", 256)+"]}}]"),
			path+"restartPolicyRules[0].exitCodes.values: Too many: 256: must have at most 255 items"),
	)
}

func TestResizePolicy(t *testing.T) {
	const path = "spec.containers[0].resizePolicy"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", podspectest.In("resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}, {resourceName: memory, restartPolicy: RestartContainer}]")),
		wrong("names", podspectest.In("resizePolicy: [{resourceName: x, restartPolicy: Z}, {resourceName: '', restartPolicy: ''}]"),
			path+`: Unsupported value: "x": supported values: "cpu", "memory"`,
			path+`: Unsupported value: "Z": supported values: "NotRequired", "RestartContainer"`,
			path+": Required value", path+": Required value"),
		wrong("twice", podspectest.In("resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}, {resourceName: cpu, restartPolicy: NotRequired}]"),
			path+`[1]: Duplicate value: "cpu"`),
		wrong("pods that are not restarted", podspectest.In("resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}]")+"restartPolicy: Never",
			path+": Invalid value: \"RestartContainer\": must be 'NotRequired' when `restartPolicy` is 'Never'"),
	)
}

func TestEphemeralContainers(t *testing.T) {
	const path = "spec.ephemeralContainers"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", podspectest.With("ephemeralContainers: [{name: e, image: i, targetContainerName: main, stdin: true, tty: true, command: [sh], env: [{name: A, value: b}], securityContext: {privileged: true}}]")),
		wrong("target", podspectest.With("ephemeralContainers: [{name: e, image: i, targetContainerName: f}, {name: f, image: i, targetContainerName: e}]"),
			path+`[0].targetContainerName: Not found: "f"`, path+`[1].targetContainerName: Not found: "e"`),
		wrong("names", podspectest.With("initContainers: [{name: i, image: i}]\nephemeralContainers: [{name: main, image: i}, {name: i, image: i}, {name: e, image: i}, {name: e, image: i}]"),
			path+`[0].name: Duplicate value: "main"`, path+`[1].name: Duplicate value: "i"`, path+`[3].name: Duplicate value: "e"`),
		wrong("sub-paths", podspectest.With("volumes: [{name: v, emptyDir: {}}]\nephemeralContainers: [{name: e, image: i, volumeMounts: [{name: v, mountPath: /a, subPath: s}, {name: v, mountPath: /b, subPathExpr: s}]}]"),
			path+"[0].volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container",
			path+"[0].volumeMounts[1].subPathExpr: Forbidden: cannot be set for an Ephemeral Container"),
		wrong("all other fields", podspectest.With("ephemeralContainers: [{name: e, image: i, lifecycle: {}, livenessProbe: {}, readinessProbe: {}, startupProbe: {}, resources: {limits: {cpu: 1}}, resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}], restartPolicy: Never}]"),
			path+"[0].resources: Forbidden: cannot be set for an Ephemeral Container",
			path+"[0].resizePolicy: Forbidden: cannot be set for an Ephemeral Container",
			path+"[0].restartPolicy: Forbidden: cannot be set for an Ephemeral Container",
			path+"[0].livenessProbe: Forbidden: cannot be set for an Ephemeral Container",
			path+"[0].readinessProbe: Forbidden: cannot be set for an Ephemeral Container",
			path+"[0].startupProbe: Forbidden: cannot be set for an Ephemeral Container",
			path+"[0].lifecycle: Forbidden: cannot be set for an Ephemeral Container"),
	)
}
