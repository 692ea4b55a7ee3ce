package podspec_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"

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
		updated := podspectest.Parse[corev1.Pod](t, "spec: {terminationGracePeriodSeconds: "+c.grace+"}")
		warnings = podspec.PrepareUpdate(updated)
		if got := updated.Spec.TerminationGracePeriodSeconds; c.grace != "null" && *got != c.want || !slices.Equal(warnings, c.warn) {
			t.Errorf("%s seconds of an update are stored as %v with warnings %q", c.grace, got, warnings)
		}
		if again := podspec.Warnings(&pod.ObjectMeta, &pod.Spec, nil); len(again) > 0 {
			t.Errorf("%s seconds are warned of twice: %q", c.grace, again)
		}
	}
}

// TestAppArmorAnnotationsBecomeFields follows KEP-24's rules for pods that name profiles
// in the old way.
func TestAppArmorAnnotationsBecomeFields(t *testing.T) {
	const prefix = "container.apparmor.security.beta.kubernetes.io/"
	profile := func(kind corev1.AppArmorProfileType, name string) *corev1.AppArmorProfile {
		p := &corev1.AppArmorProfile{Type: kind}
		if name != "" {
			p.LocalhostProfile = &name
		}
		return p
	}
	runtime, unconfined := profile(corev1.AppArmorProfileTypeRuntimeDefault, ""), profile(corev1.AppArmorProfileTypeUnconfined, "")
	for _, c := range []struct {
		name, annotation string
		pod, container   *corev1.AppArmorProfile
		os               corev1.OSName
		want             *corev1.AppArmorProfile
		warn             bool
	}{
		{name: "none", annotation: "-"},
		{name: "runtime's", annotation: "runtime/default", want: runtime, warn: true},
		{name: "unconfined", annotation: "unconfined", want: unconfined, warn: true},
		{name: "of the node", annotation: "localhost/a/b", want: profile(corev1.AppArmorProfileTypeLocalhost, "a/b"), warn: true},
		{name: "of the node, without a name", annotation: "localhost/", warn: true},
		{name: "with spaces", annotation: "localhost/ a", warn: true},
		{name: "too long", annotation: "localhost/" + strings.Repeat("a", 4096), warn: true},
		{name: "unknown", annotation: "docker/default", warn: true},
		{name: "empty", annotation: "", warn: true},
		{name: "field of the container", annotation: "unconfined", container: runtime, want: runtime},
		{name: "as the pod's field", annotation: "runtime/default", pod: runtime},
		{name: "other than the pod's field", annotation: "unconfined", pod: runtime, want: unconfined, warn: true},
		{name: "Windows", annotation: "runtime/default", os: corev1.Windows},
		{name: "Linux", annotation: "runtime/default", os: corev1.Linux, want: runtime, warn: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			pod := podspectest.Parse[corev1.Pod](t, "spec: {containers: [{name: other, image: i}], initContainers: [{name: a, image: i}]}")
			podspec.SetPodDefaults(pod)
			if c.annotation != "-" {
				pod.Annotations = map[string]string{prefix + "a": c.annotation}
			}
			if c.os != "" {
				pod.Spec.OS = &corev1.PodOS{Name: c.os}
			}
			pod.Spec.SecurityContext.AppArmorProfile = c.pod
			if c.container != nil {
				pod.Spec.InitContainers[0].SecurityContext = &corev1.SecurityContext{AppArmorProfile: c.container, RunAsUser: ptr.To[int64](7)}
			}
			annotations := len(pod.Annotations)
			var warn []string
			if c.warn {
				warn = []string{"metadata.annotations[" + prefix + `a]: deprecated since v1.30; use the "appArmorProfile" field instead`}
			}
			if got := podspec.PrepareCreate(pod); !slices.Equal(got, warn) {
				t.Errorf("warnings %q", got)
			}
			var got *corev1.AppArmorProfile
			if sc := pod.Spec.InitContainers[0].SecurityContext; sc != nil {
				got = sc.AppArmorProfile
			}
			if !apiequality.Semantic.DeepEqual(got, c.want) {
				t.Errorf("profile %v, want %v", got, c.want)
			}
			if pod.Spec.Containers[0].SecurityContext != nil || len(pod.Annotations) != annotations {
				t.Errorf("more than the container's field is changed: %v", pod)
			}
		})
	}
}
