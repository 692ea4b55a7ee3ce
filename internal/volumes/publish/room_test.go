package publish_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/volumes/publish"
)

// TestMemoryLimitHoldsForAllContainers: what one container may use without a limit, the
// pod may.
func TestMemoryLimitHoldsForAllContainers(t *testing.T) {
	const two = "resources: {limits: {memory: 2Mi}}"
	for spec, want := range map[string]int64{
		"containers: [{name: a, " + two + "}, {name: b, " + two + "}]":                                            4 << 20,
		"containers: [{name: a, " + two + "}, {name: b}]":                                                         0,
		"{initContainers: [{name: i}], containers: [{name: a, " + two + "}]}":                                     0,
		"{initContainers: [{name: i, " + two + "}], containers: [{name: a, " + two + "}]}":                        2 << 20,
		"{resources: {limits: {memory: 8Mi}}, containers: [{name: a, " + two + "}, {name: b}]}":                   8 << 20,
		"{resources: {limits: {cpu: 1}}, containers: [{name: a, " + two + "}]}":                                   2 << 20,
		"{overhead: {memory: 1Mi}, containers: [{name: a, " + two + "}]}":                                         2 << 20,
		"{ephemeralContainers: [{name: e}], containers: [{name: a, " + two + "}]}":                                2 << 20,
		"{initContainers: [{name: s, restartPolicy: Always, " + two + "}], containers: [{name: a, " + two + "}]}": 4 << 20,
	} {
		var pod corev1.Pod
		if err := yaml.UnmarshalStrict([]byte(spec), &pod.Spec); err != nil {
			t.Fatal(err)
		}
		if got := publish.MemoryLimit(&pod); got != want {
			t.Errorf("%s: %d, want %d", spec, got, want)
		}
	}
}
