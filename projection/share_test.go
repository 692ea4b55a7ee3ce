package projection_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/projection"
)

// TestAValueIsHeldOnceHoweverManyFilesShowIt would take gigabytes with a copy for each
// file.
func TestAValueIsHeldOnceHoweverManyFilesShowIt(t *testing.T) {
	const size, files = 1 << 20, 1000
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", Annotations: map[string]string{"a": strings.Repeat("x", 200<<10)}}}
	cm := &corev1.ConfigMap{Data: map[string]string{"k": strings.Repeat("x", size)}}
	secret := &corev1.Secret{Data: map[string][]byte{"k": make([]byte, size)}}
	sources := projection.Sources{
		ConfigMap:   func(string) (*corev1.ConfigMap, error) { return cm, nil },
		Secret:      func(string) (*corev1.Secret, error) { return secret, nil },
		Allocatable: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
	}
	v := &corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}
	add := func(s corev1.VolumeProjection) { v.Projected.Sources = append(v.Projected.Sources, s) }
	for i := range files {
		item := func(kind string) []corev1.KeyToPath {
			return []corev1.KeyToPath{{Key: "k", Path: kind + fmt.Sprint(i)}}
		}
		add(corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{Items: item("c")}})
		add(corev1.VolumeProjection{Secret: &corev1.SecretProjection{Items: item("s")}})
		add(corev1.VolumeProjection{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "d" + fmt.Sprint(i), FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.annotations"}},
		}}})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tree, err := projection.Volume(pod, v, sources)
	runtime.ReadMemStats(&after)
	if err != nil || len(tree.Files) != 3*files {
		t.Fatalf("%d files, %v", len(tree.Files), err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 20*size {
		t.Errorf("making a volume of one mebibyte in %d files took %d bytes", files, took)
	}
	for _, f := range tree.Files {
		if want := map[byte]int{'c': size, 's': size, 'd': 200<<10 + 4}[f.Path[0]]; len(f.Data) != want {
			t.Fatalf("%s has %d bytes, want %d", f.Path, len(f.Data), want)
		}
	}
}
