package podidentity_test

import (
	"encoding/json"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/aws/podidentity"
)

// patched is a pod after a patch, with the defaults that the API server gives volumes.
func patched(t *testing.T, pod *corev1.Pod, patch []podidentity.Operation) *corev1.Pod {
	t.Helper()
	document, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(patch)
	if err != nil {
		t.Fatal(err)
	}
	operations, err := jsonpatch.DecodePatch(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(pod.Spec.Volumes) == 0 && pod.Spec.Volumes != nil {
		document, err = jsonpatch.MergePatch(document, []byte(`{"spec": {"volumes": []}}`)) // Go leaves it out
		if err != nil {
			t.Fatal(err)
		}
	}
	if document, err = operations.Apply(document); err != nil {
		t.Fatal(err)
	}
	out := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(document, out); err != nil {
		t.Fatal(err)
	}
	before := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		before[v.Name] = true
	}
	for _, v := range out.Spec.Volumes {
		if v.Projected != nil && !before[v.Name] {
			v.Projected.DefaultMode = new(corev1.ProjectedVolumeSourceDefaultMode)
		}
	}
	return out
}
