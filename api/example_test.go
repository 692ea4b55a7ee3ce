package api_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api"
)

// A pod whose subPath mounts follow updates, and which is told of them.
func Example() {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "web",
		Annotations: map[string]string{
			api.SubPathUpdates: "true",
			api.OnUpdate:       "- {volumes: [config], container: web, signal: SIGHUP}",
		},
	}}
	fmt.Println(pod.Annotations["laterna.dev/subpath-updates"], pod.Annotations["laterna.dev/on-update"])
	// Output: true - {volumes: [config], container: web, signal: SIGHUP}
}
