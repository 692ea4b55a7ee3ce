package podspec

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Containers returns the names and the images of a spec's containers, as the tables of
// kinds with a template have them.
func Containers(spec *corev1.PodSpec) (names, images string) {
	var n, i []string
	for _, c := range spec.Containers {
		n, i = append(n, c.Name), append(i, c.Image)
	}
	return strings.Join(n, ","), strings.Join(i, ",")
}
