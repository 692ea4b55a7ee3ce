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
