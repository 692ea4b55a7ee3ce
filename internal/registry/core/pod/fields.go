package pod

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
)

// fieldLabels are the fields that a selector of pods may name.
var fieldLabels = []string{
	"metadata.name", "metadata.namespace", "spec.hostNetwork", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
	"spec.serviceAccountName", "status.nominatedNodeName", "status.phase", "status.podIP",
}

// RegisterFieldLabels makes the fields of pods selectable. spec.host is an old name
// of spec.nodeName.
func RegisterFieldLabels(s *runtime.Scheme) error {
	return s.AddFieldLabelConversionFunc(corev1.SchemeGroupVersion.WithKind("Pod"), func(label, value string) (string, string, error) {
		if label == "spec.host" {
			label = "spec.nodeName"
		}
		if !slices.Contains(fieldLabels, label) {
			return "", "", fmt.Errorf("field label not supported: %s", label)
		}
		return label, value, nil
	})
}

func selectableFields(p *corev1.Pod) fields.Set {
	return fields.Set{
		"spec.hostNetwork":         strconv.FormatBool(p.Spec.HostNetwork),
		"spec.nodeName":            p.Spec.NodeName,
		"spec.restartPolicy":       string(p.Spec.RestartPolicy),
		"spec.schedulerName":       p.Spec.SchedulerName,
		"spec.serviceAccountName":  p.Spec.ServiceAccountName,
		"status.nominatedNodeName": p.Status.NominatedNodeName,
		"status.phase":             string(p.Status.Phase),
		"status.podIP":             primaryIP(&p.Status),
	}
}

// primaryIP is the address that the table and selectors show.
func primaryIP(s *corev1.PodStatus) string {
	if len(s.PodIPs) > 0 {
		return s.PodIPs[0].IP
	}
	return ""
}
