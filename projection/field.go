package projection

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// FieldRef returns the value of a field of pod as an environment variable gets it:
// metadata.name, .namespace, .uid, .labels['key'], .annotations['key'],
// spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs,
// status.podIP and status.podIPs. Addresses are read from pod.Status; several are
// joined by a comma. A label or annotation that is not there is empty, not an error.
func FieldRef(pod *corev1.Pod, ref *corev1.ObjectFieldSelector) (string, error) {
	if err := checkVersion(ref); err != nil {
		return "", err
	}
	switch ref.FieldPath {
	case "spec.nodeName", "spec.host":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP":
		return pod.Status.HostIP, nil
	case "status.hostIPs":
		return hostIPs(pod), nil
	case "status.podIP":
		return pod.Status.PodIP, nil
	case "status.podIPs":
		return podIPs(pod), nil
	}
	return metadata(pod, ref.FieldPath)
}

// volumeField returns the value of a field as a volume's file gets it: only metadata,
// but also all labels or annotations at once.
func volumeField(pod *corev1.Pod, ref *corev1.ObjectFieldSelector) (string, error) {
	if err := checkVersion(ref); err != nil {
		return "", err
	}
	return metadata(pod, ref.FieldPath)
}

func checkVersion(ref *corev1.ObjectFieldSelector) error {
	if ref.APIVersion != "" && ref.APIVersion != "v1" {
		return fmt.Errorf("unsupported pod version: %s", ref.APIVersion)
	}
	return nil
}

func metadata(pod *corev1.Pod, path string) (string, error) {
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "metadata.labels":
		return FormatMap(pod.Labels), nil
	case "metadata.annotations":
		return FormatMap(pod.Annotations), nil
	}
	field, key, ok := subscript(path)
	if !ok {
		return "", fmt.Errorf("unsupported fieldPath: %s", path)
	}
	switch field {
	case "metadata.labels":
		if errs := validation.IsQualifiedName(key); len(errs) > 0 {
			return "", fmt.Errorf("invalid key subscript in %s: %s", path, strings.Join(errs, ";"))
		}
		return pod.Labels[key], nil
	case "metadata.annotations":
		if errs := validation.IsQualifiedName(strings.ToLower(key)); len(errs) > 0 {
			return "", fmt.Errorf("invalid key subscript in %s: %s", path, strings.Join(errs, ";"))
		}
		return pod.Annotations[key], nil
	}
	return "", fmt.Errorf("fieldPath %q does not support subscript", path)
}

// subscript splits "field['key']".
func subscript(path string) (field, key string, ok bool) {
	rest, ok := strings.CutSuffix(path, "']")
	if !ok {
		return "", "", false
	}
	field, key, ok = strings.Cut(rest, "['")
	return field, key, ok && field != ""
}

// FormatMap writes labels or annotations one per line as key="value", sorted by key,
// values quoted as in Go, without a newline at the end.
func FormatMap(m map[string]string) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s=%q", k, m[k])
	}
	return b.String()
}

func podIPs(pod *corev1.Pod) string {
	var ips []string
	for _, ip := range pod.Status.PodIPs {
		ips = append(ips, ip.IP)
	}
	if len(ips) == 0 {
		return pod.Status.PodIP
	}
	return strings.Join(ips, ",")
}

func hostIPs(pod *corev1.Pod) string {
	var ips []string
	for _, ip := range pod.Status.HostIPs {
		ips = append(ips, ip.IP)
	}
	if len(ips) == 0 {
		return pod.Status.HostIP
	}
	return strings.Join(ips, ",")
}
