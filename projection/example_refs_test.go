package projection_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/projection"
)

// What a volume shows is known before it is shown: for watches, or for a check of rights.
func ExampleRefs() {
	volume := &corev1.Volume{Name: "all", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "tls"}}},
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: "vault", Path: "token"}},
		},
	}}}
	for _, ref := range projection.Refs(volume) {
		fmt.Println(ref.Kind.APIKind(), ref.Name)
	}
	for _, token := range projection.Tokens(volume) {
		fmt.Println("token for", token.Audience, "of", token.ExpirationSeconds, "s")
	}
	// Output:
	// ConfigMap settings
	// Secret tls
	// token for vault of 3600 s
}
