package pod

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// selectableFields are the fields that a selector of pods may name.
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
		"status.podIPs":            allIPs(&p.Status),
	}
}

// allIPs are all addresses, with commas between them, which a selector writes as \,.
func allIPs(s *corev1.PodStatus) string {
	ips := make([]string, len(s.PodIPs))
	for i, ip := range s.PodIPs {
		ips[i] = ip.IP
	}
	return strings.Join(ips, ",")
}

// primaryIP is the address that the table and selectors show.
func primaryIP(s *corev1.PodStatus) string {
	if len(s.PodIPs) > 0 {
		return s.PodIPs[0].IP
	}
	return ""
}
