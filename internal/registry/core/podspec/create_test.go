package podspec_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestNegativeGraceBecomesASecond(t *testing.T) {
	const warning = "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
	for _, c := range []struct {
		grace string
		want  int64
		warn  []string
	}{
		{"-1", 1, []string{warning}}, {"-9223372036854775808", 1, []string{warning}},
		{"0", 0, nil}, {"1", 1, nil}, {"30", 30, nil}, {"null", 30, nil},
	} {
		pod := podspectest.Parse[corev1.Pod](t, "spec: {terminationGracePeriodSeconds: "+c.grace+", containers: [{name: a, image: i}]}")
		podspec.SetPodDefaults(pod)
		warnings := podspec.PrepareCreate(pod)
		if got := *pod.Spec.TerminationGracePeriodSeconds; got != c.want || !slices.Equal(warnings, c.warn) {
			t.Errorf("%s seconds are stored as %d with warnings %q", c.grace, got, warnings)
		}
		if again := podspec.Warnings(&pod.ObjectMeta, &pod.Spec, nil); len(again) > 0 {
			t.Errorf("%s seconds are warned of twice: %q", c.grace, again)
		}
	}
}
