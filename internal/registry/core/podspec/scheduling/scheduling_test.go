package scheduling_test

import (
	"testing"

	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestGates(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("gates", podspectest.With("readinessGates: [{conditionType: '*'}]\nschedulingGates: [{name: a}, {name: a}]"),
			`spec.readinessGates[0].conditionType: Invalid value: "*": `+podspectest.Qualified, `spec.schedulingGates[1]: Duplicate value: "a"`),
	)
}

func TestTolerations(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("tolerations", podspectest.With("tolerations: [{}, {key: a, operator: Exists, value: b}, {key: a, operator: X}, {key: a, effect: W, tolerationSeconds: 1}]"),
			"spec.tolerations[0].operator: Invalid value: \"\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
			"spec.tolerations[1].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
			`spec.tolerations[2].operator: Unsupported value: "X": supported values: "Equal", "Exists"`,
			"spec.tolerations[3].effect: Invalid value: \"W\": effect must be 'NoExecute' when `tolerationSeconds` is set",
			`spec.tolerations[3].effect: Unsupported value: "W": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"`),
	)
}

func TestSpread(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("spread", podspectest.With("topologySpreadConstraints: [{maxSkew: 0, topologyKey: '', whenUnsatisfiable: X, minDomains: 0}]"),
			"spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
			"spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
			`spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": supported values: "DoNotSchedule", "ScheduleAnyway"`,
			"spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: must be greater than zero",
			"spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not X"),
	)
}

func TestSpreadPolicies(t *testing.T) {
	const path = "spec.topologySpreadConstraints"
	const selector = "labelSelector: {matchLabels: {a: b}}"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", podspectest.With("topologySpreadConstraints: [{maxSkew: 1, topologyKey: k, whenUnsatisfiable: DoNotSchedule, minDomains: 1, nodeAffinityPolicy: Honor, nodeTaintsPolicy: Ignore, matchLabelKeys: [c], "+selector+"}, {maxSkew: 1, topologyKey: k, whenUnsatisfiable: ScheduleAnyway}]")),
		wrong("one key twice", podspectest.With("topologySpreadConstraints: [{maxSkew: 1, topologyKey: k, whenUnsatisfiable: DoNotSchedule}, {maxSkew: 1, topologyKey: k, whenUnsatisfiable: DoNotSchedule}]"),
			path+`[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{k, DoNotSchedule}"`),
		wrong("policies", podspectest.With("topologySpreadConstraints: [{maxSkew: 1, topologyKey: k, whenUnsatisfiable: DoNotSchedule, nodeAffinityPolicy: X, nodeTaintsPolicy: Z, "+selector+"}]"),
			path+`[0].nodeAffinityPolicy: Unsupported value: "X": supported values: "Honor", "Ignore"`,
			path+`[0].nodeTaintsPolicy: Unsupported value: "Z": supported values: "Honor", "Ignore"`),
		wrong("label keys", podspectest.With("topologySpreadConstraints: [{maxSkew: 1, topologyKey: k, whenUnsatisfiable: DoNotSchedule, matchLabelKeys: ['*'], labelSelector: {matchExpressions: [{key: a, operator: X}]}}]"),
			path+`[0].matchLabelKeys[0]: Invalid value: "*": `+podspectest.Qualified,
			path+`[0].labelSelector.matchExpressions[0].operator: Invalid value: "X": not a valid selector operator`),
	)
}

func TestTolerationValues(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", podspectest.With("tolerations: [{operator: Exists}, {key: a, value: b}, {key: a, operator: Equal, value: b, effect: NoSchedule}, {key: a, operator: Exists, effect: NoExecute, tolerationSeconds: -1}]")),
		wrong("key and value", podspectest.With("tolerations: [{key: '*', value: '*'}]"),
			`spec.tolerations[0].key: Invalid value: "*": `+podspectest.Qualified,
			`spec.tolerations[0].operator: Invalid value: "*": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`),
	)
}
