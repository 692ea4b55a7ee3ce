package podcontent

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api"
)

// Template is an object's own template of its pods; nil for kinds that are not rolled out.
func Template(obj any) *corev1.PodTemplateSpec {
	switch o := obj.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *appsv1.StatefulSet:
		return &o.Spec.Template
	case *appsv1.DaemonSet:
		return &o.Spec.Template
	}
	return nil
}

// Known are the digests in a template.
func Known(template *corev1.PodTemplateSpec) Digests {
	return ParseDigests(template.Annotations[api.ContentDigests])
}

// RequestOf reads the annotation of a workload; ok is false where it has none.
func RequestOf(obj metav1.Object) (r Request, ok bool, err error) {
	text, ok := obj.GetAnnotations()[api.RolloutOnChange]
	if !ok {
		return Request{}, false, nil
	}
	r, err = ParseRequest(text)
	return r, true, err
}
