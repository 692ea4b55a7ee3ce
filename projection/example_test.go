package projection_test

import (
	"fmt"
	"log"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/projection"
)

func ExampleVolume() {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{"app": "web"}}}
	volume := &corev1.Volume{Name: "info", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
				{Path: "meta/labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}},
			}}},
		},
	}}}
	tree, err := projection.Volume(pod, volume, projection.Sources{
		ConfigMap: func(name string) (*corev1.ConfigMap, error) {
			return &corev1.ConfigMap{Data: map[string]string{"color": "blue"}}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range tree.Files {
		fmt.Printf("%s %o %s\n", f.Path, f.Mode, f.Data)
	}
	// Output:
	// color 644 blue
	// meta/labels 644 app="web"
}
