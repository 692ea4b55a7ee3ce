package imageref_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/registry/core/podspec/imageref"
)

func TestPullPolicy(t *testing.T) {
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for image, want := range map[string]corev1.PullPolicy{
		"nginx":                             corev1.PullAlways,
		"nginx:latest":                      corev1.PullAlways,
		"nginx:1":                           corev1.PullIfNotPresent,
		"reg:5000/nginx":                    corev1.PullAlways,
		"reg:5000/nginx:1":                  corev1.PullIfNotPresent,
		"nginx" + digest:                    corev1.PullIfNotPresent,
		"nginx:latest" + digest:             corev1.PullAlways,
		"public.ecr.aws/nginx/nginx:X.XX":   corev1.PullIfNotPresent,
		"":                                  corev1.PullIfNotPresent,
		"UPPER":                             corev1.PullIfNotPresent,
		"a b":                               corev1.PullIfNotPresent,
		"luksa/kubectl-proxy:1.6.2":         corev1.PullIfNotPresent,
		"docker.io/library/busybox:1.28":    corev1.PullIfNotPresent,
		"docker.io/library/busybox:latest1": corev1.PullIfNotPresent,
	} {
		if got := imageref.DefaultPullPolicy(image); got != want {
			t.Errorf("pull policy of %q is %s, want %s", image, got, want)
		}
	}
}
