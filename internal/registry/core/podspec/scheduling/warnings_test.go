package scheduling_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
	"laterna.dev/laterna/internal/registry/core/podspec/scheduling"
)

func TestLabelsOfNodesThatHaveOtherNamesNow(t *testing.T) {
	const arch, zone = `deprecated since v1.14; use "kubernetes.io/arch" instead`, `deprecated since v1.17; use "topology.kubernetes.io/zone" instead`
	spec := podspectest.Parse[corev1.PodSpec](t, `
nodeSelector: {kubernetes.io/arch: a, beta.kubernetes.io/arch: a, beta.kubernetes.io/os: o}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{}, {matchExpressions: [{key: failure-domain.beta.kubernetes.io/zone, operator: In, values: ['*']}]}]}
    preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: beta.kubernetes.io/instance-type, operator: In, values: [right, '*']}]}}]
topologySpreadConstraints: [{topologyKey: failure-domain.beta.kubernetes.io/region, labelSelector: {}}, {topologyKey: topology.kubernetes.io/zone}]
`)
	want := []string{
		"spec.nodeSelector[beta.kubernetes.io/arch]: " + arch,
		`spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead`,
		"spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[1].matchExpressions[0].key: failure-domain.beta.kubernetes.io/zone is " + zone,
		`spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key: beta.kubernetes.io/instance-type is deprecated since v1.17; use "node.kubernetes.io/instance-type" instead`,
		"spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values[1]: * is invalid, a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
		`spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/region is deprecated since v1.17; use "topology.kubernetes.io/region" instead`,
		"spec.topologySpreadConstraints[1].labelSelector: a null labelSelector results in matching no pod",
	}
	if got := scheduling.LabelWarnings(spec, field.NewPath("spec")); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got := scheduling.LabelWarnings(&corev1.PodSpec{Affinity: &corev1.Affinity{}}, field.NewPath("spec")); len(got) > 0 {
		t.Errorf("of a spec that asks for nothing: %q", got)
	}
}

func TestAffinityToNoPod(t *testing.T) {
	const null = ": a null labelSelector results in matching no pod"
	a := podspectest.Parse[corev1.Affinity](t, `
podAffinity:
  requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: k, labelSelector: {}}, {topologyKey: k}]
  preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: k}}]
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: k}]
  preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: k, labelSelector: {}}}]
`)
	want := []string{
		"a.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[1].labelSelector" + null,
		"a.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector" + null,
		"a.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector" + null,
	}
	if got := scheduling.AffinityWarnings(a, field.NewPath("a")); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got := scheduling.AffinityWarnings(nil, field.NewPath("a")); len(got) > 0 {
		t.Errorf("of no affinity: %q", got)
	}
}
