package projection_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"laterna.dev/laterna/projection"
)

// TestDivisors checks every divisor that the API accepts, by hand-computed values,
// as a variable and as a file.
func TestDivisors(t *testing.T) {
	const spec = `
spec:
  containers:
  - name: c
    resources:
      requests: {cpu: 1250m, memory: 1000001, ephemeral-storage: 3Gi, hugepages-2Mi: 4Mi}
      limits: {cpu: "2", memory: 1025Mi, ephemeral-storage: 3G, hugepages-2Mi: 4Mi}`
	pod := parse[corev1.Pod](t, spec)
	for _, tc := range []struct {
		resource string
		want     map[string]string
	}{
		{"requests.cpu", map[string]string{"": "2", "0": "2", "1": "2", "1m": "1250"}},
		{"limits.cpu", map[string]string{"": "2", "1": "2", "1m": "2000"}},
		{"requests.memory", map[string]string{
			"": "1000001", "1": "1000001", "1k": "1001", "1Ki": "977", "1M": "2", "1Mi": "1", "1G": "1", "1Gi": "1",
			"1T": "1", "1Ti": "1", "1P": "1", "1Pi": "1", "1E": "1", "1Ei": "1",
		}},
		{"limits.memory", map[string]string{"": "1074790400", "1": "1074790400", "1k": "1074791", "1Ki": "1049600", "1M": "1075", "1Mi": "1025", "1G": "2", "1Gi": "2"}},
		{"requests.ephemeral-storage", map[string]string{"1": "3221225472", "1Gi": "3", "1G": "4"}},
		{"limits.ephemeral-storage", map[string]string{"1": "3000000000", "1Gi": "3", "1G": "3"}},
		{"requests.hugepages-2Mi", map[string]string{"": "4194304", "1Mi": "4"}},
		{"limits.hugepages-2Mi", map[string]string{"1k": "4195"}},
	} {
		for divisor, want := range tc.want {
			ref := &corev1.ResourceFieldSelector{Resource: tc.resource, ContainerName: "c"}
			if divisor != "" {
				ref.Divisor = resource.MustParse(divisor)
			}
			got, err := projection.ResourceFieldRef(pod, "", ref, nil)
			if got != want || err != nil {
				t.Errorf("%s in %q: %q, %v; want %s", tc.resource, divisor, got, err, want)
			}
			volume := &corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
				DefaultMode: new(int32), Items: []corev1.DownwardAPIVolumeFile{{Path: "f", ResourceFieldRef: ref}},
			}}}
			built, err := projection.Build(pod, volume, projection.Sources{})
			if err != nil || len(built.Tree.Files) != 1 || string(built.Tree.Files[0].Data) != want {
				t.Errorf("%s in %q as a file: %v, %v; want %s", tc.resource, divisor, built.Tree.Files, err, want)
			}
		}
	}
}

func TestLimitsOfThePodComeBeforeThoseOfTheNode(t *testing.T) {
	pod := parse[corev1.Pod](t, `
spec:
  resources: {limits: {cpu: 1500m, memory: 1Gi, hugepages-2Mi: 2Mi}, requests: {cpu: "1"}}
  containers: [{name: own, resources: {limits: {cpu: 500m, memory: 512Mi}}}, {name: bare}]
  ephemeralContainers: [{name: debug}]`)
	node := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourceEphemeralStorage: resource.MustParse("20Gi"),
	}
	for _, tc := range []struct{ container, resource, divisor, want string }{
		{"own", "limits.cpu", "1m", "500"}, {"own", "limits.memory", "1Mi", "512"},
		{"bare", "limits.cpu", "1m", "1500"}, {"bare", "limits.memory", "1Mi", "1024"},
		{"bare", "limits.ephemeral-storage", "1Gi", "20"}, {"bare", "limits.hugepages-2Mi", "1", "0"},
		{"bare", "requests.cpu", "1m", "0"}, {"debug", "limits.memory", "1Mi", "1024"},
	} {
		ref := &corev1.ResourceFieldSelector{Resource: tc.resource, Divisor: resource.MustParse(tc.divisor)}
		if got, err := projection.ResourceFieldRef(pod, tc.container, ref, node); got != tc.want || err != nil {
			t.Errorf("%s of %s: %q, %v; want %s", tc.resource, tc.container, got, err, tc.want)
		}
	}
	if _, err := projection.ResourceFieldRef(pod, "", &corev1.ResourceFieldSelector{Resource: "limits.cpu"}, node); fmt.Sprint(err) != "container  not found" {
		t.Errorf("no container: %v", err)
	}
}
