package scheduling_test

import (
	"testing"

	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestAffinity(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("node affinity", podspectest.With("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}, preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0, preference: {matchExpressions: [{key: a, operator: In}], matchFields: [{key: x, operator: In, values: [a, b]}]}}]}}"),
			"spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term",
			"spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100",
			"spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
			"spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchFields[0].values: Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
			`spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchFields[0].key: Invalid value: "x": not a valid field selector key`),
		wrong("pod affinity", podspectest.With("affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{namespaces: [A], topologyKey: a, matchLabelKeys: [x]}]}}"),
			`spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespace: Invalid value: "A": `+podspectest.Label,
			"spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set"),
	)
}

func TestNodeSelectorTerms(t *testing.T) {
	const required = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
	terms := func(text string) string {
		return podspectest.With("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [" + text + "]}}}")
	}
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", terms("{matchExpressions: [{key: a, operator: In, values: [b, c]}, {key: a, operator: NotIn, values: [d]}, {key: a/b, operator: Exists}, {key: a, operator: DoesNotExist}, {key: a, operator: Gt, values: ['1']}, {key: a, operator: Lt, values: ['1']}], matchFields: [{key: metadata.name, operator: In, values: [nn]}]}, {}")),
		wrong("values", terms("{matchExpressions: [{key: a, operator: NotIn}, {key: a, operator: Exists, values: [b]}, {key: a, operator: Gt, values: ['1', '2']}, {key: '*', operator: X, values: ['*']}]}"),
			required+".matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
			required+".matchExpressions[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
			required+".matchExpressions[2].values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
			required+`.matchExpressions[3].operator: Invalid value: "X": not a valid selector operator`,
			required+`.matchExpressions[3].key: Invalid value: "*": `+podspectest.Qualified,
			required+`.matchExpressions[3].values[0]: Invalid value: "*": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`),
		wrong("fields", terms("{matchFields: [{key: metadata.name, operator: Exists}, {key: metadata.name, operator: NotIn, values: [A]}]}"),
			required+`.matchFields[0].operator: Invalid value: "Exists": not a valid selector operator`,
			required+`.matchFields[1].values[0]: Invalid value: "A": `+podspectest.Domain),
		wrong("a preference may name what no node has", podspectest.With("affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, preference: {matchExpressions: [{key: a, operator: In, values: ['*']}]}}]}}")),
		wrong("weights", podspectest.With("affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 101, preference: {}}]}}"),
			"spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100"),
	)
}

func TestPodAffinityTerms(t *testing.T) {
	const term = "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"
	preferred := func(text string) string {
		return podspectest.With("affinity: {podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [" + text + "]}}")
	}
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", preferred("{weight: 1, podAffinityTerm: {topologyKey: k, namespaces: [a], namespaceSelector: {}, labelSelector: {matchLabels: {a: b}}, matchLabelKeys: [c], mismatchLabelKeys: [d]}}")),
		wrong("no topology", preferred("{weight: 0, podAffinityTerm: {}}"),
			term+".weight: Invalid value: 0: must be in the range 1-100",
			term+".podAffinityTerm.topologyKey: Required value: can not be empty",
			term+`.podAffinityTerm.topologyKey: Invalid value: "": name part must be non-empty`,
			term+`.podAffinityTerm.topologyKey: Invalid value: "": `+podspectest.Qualified),
		wrong("keys of labels", preferred("{weight: 1, podAffinityTerm: {topologyKey: k, labelSelector: {}, matchLabelKeys: [a, '*'], mismatchLabelKeys: [a]}}"),
			term+`.podAffinityTerm.matchLabelKeys[1]: Invalid value: "*": `+podspectest.Qualified,
			term+`.podAffinityTerm.matchLabelKeys[0]: Invalid value: "a": exists in both matchLabelKeys and mismatchLabelKeys`),
		wrong("selectors", preferred("{weight: 1, podAffinityTerm: {topologyKey: k, labelSelector: {matchLabels: {'*': b}}, namespaceSelector: {matchExpressions: [{key: a, operator: In}]}}}"),
			term+`.podAffinityTerm.labelSelector.matchLabels: Invalid value: "*": `+podspectest.Qualified,
			term+".podAffinityTerm.namespaceSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"),
	)
}
