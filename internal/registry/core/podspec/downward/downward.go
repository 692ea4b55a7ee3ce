// Package downward has the rules of the references by which a pod shows itself to its
// containers, in variables and in files: fields of the pod, requests and limits of a
// container. Where such references stand is known to the packages containers and volumes.
package downward

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// DefaultFieldRef fills in the version of the API that the path is of.
func DefaultFieldRef(ref *corev1.ObjectFieldSelector) {
	if ref != nil && ref.APIVersion == "" {
		ref.APIVersion = "v1"
	}
}

// Field paths of the downward API, sorted as the messages list them.
var (
	// EnvFieldPaths are those that variables may show.
	EnvFieldPaths = []string{
		"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
		"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
	}
	// VolumeFieldPaths are those that files may show, without those of one label or
	// annotation.
	VolumeFieldPaths = []string{
		"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
	}
	// podFieldPaths are the labels known for pods at all; one that is known but
	// not allowed gets another message than one that is unknown.
	podFieldPaths = []string{
		"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
		"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
		"status.hostIP", "status.hostIPs", "status.phase", "status.podIP", "status.podIPs",
	}
	resourcePaths = []string{
		"limits.cpu", "limits.ephemeral-storage", "limits.memory",
		"requests.cpu", "requests.ephemeral-storage", "requests.memory",
	}
)

// ValidateFieldRef checks a reference to a field of the pod that is one of allowed, or
// one label or annotation.
func ValidateFieldRef(ref *corev1.ObjectFieldSelector, allowed []string, path *field.Path) field.ErrorList {
	if ref.APIVersion == "" {
		return field.ErrorList{field.Required(path.Child("apiVersion"), "")}
	}
	at := path.Child("fieldPath")
	if ref.FieldPath == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	label, err := knownFieldPath(ref.APIVersion, ref.FieldPath)
	if err != nil {
		return field.ErrorList{field.Invalid(at, ref.FieldPath, fmt.Sprintf("error converting fieldPath: %v", err))}
	}
	if name, key, ok := splitSubscript(label); ok {
		if name == "metadata.annotations" {
			key = strings.ToLower(key)
		}
		return check.QualifiedName(key, path)
	}
	if !slices.Contains(allowed, label) {
		return field.ErrorList{field.NotSupported(at, label, allowed)}
	}
	return nil
}

// knownFieldPath returns the field path under its current name.
func knownFieldPath(version, label string) (string, error) {
	if version != "v1" {
		return "", fmt.Errorf("unsupported pod version: %s", version)
	}
	if name, _, ok := splitSubscript(label); ok {
		if name != "metadata.annotations" && name != "metadata.labels" {
			return "", fmt.Errorf("field label does not support subscript: %s", label)
		}
		return label, nil
	}
	switch {
	case label == "spec.host":
		return "spec.nodeName", nil
	case slices.Contains(podFieldPaths, label):
		return label, nil
	}
	return "", fmt.Errorf("field label not supported: %s", label)
}

// splitSubscript splits name['key'].
func splitSubscript(label string) (name, key string, ok bool) {
	rest, ok := strings.CutSuffix(label, "']")
	if !ok {
		return label, "", false
	}
	name, key, ok = strings.Cut(rest, "['")
	if !ok || name == "" {
		return label, "", false
	}
	return name, key, true
}

// ValidateResourceRef checks a reference to a request or limit; in a volume it must say
// of which container.
func ValidateResourceRef(ref *corev1.ResourceFieldSelector, path *field.Path, volume bool) field.ErrorList {
	var errs field.ErrorList
	switch {
	case volume && ref.ContainerName == "":
		errs = append(errs, field.Required(path.Child("containerName"), ""))
	case ref.Resource == "":
		errs = append(errs, field.Required(path.Child("resource"), ""))
	case !slices.Contains(resourcePaths, ref.Resource) && !isHugePagesPath(ref.Resource):
		errs = append(errs, field.NotSupported(path.Child("resource"), ref.Resource, resourcePaths))
	}
	return append(errs, validateDivisor(ref, path.Child("divisor"))...)
}

func isHugePagesPath(name string) bool {
	return strings.HasPrefix(name, "limits.hugepages-") || strings.HasPrefix(name, "requests.hugepages-")
}

const byteDivisors = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"

func validateDivisor(ref *corev1.ResourceFieldSelector, path *field.Path) field.ErrorList {
	if ref.Divisor.Cmp(resource.Quantity{}) == 0 {
		return nil
	}
	divisor := ref.Divisor.String()
	var what string
	switch name := ref.Resource; {
	case name == "limits.cpu" || name == "requests.cpu":
		if divisor != "1m" && divisor != "1" {
			return field.ErrorList{field.Invalid(path, name, "only divisor's values 1m and 1 are supported with the cpu resource")}
		}
		return nil
	case name == "limits.memory" || name == "requests.memory":
		what = "memory"
	case name == "limits.ephemeral-storage" || name == "requests.ephemeral-storage":
		what = "local ephemeral storage"
	case isHugePagesPath(name):
		what = "hugepages"
	default:
		return nil
	}
	if slices.Contains(strings.Split(byteDivisors, ", "), divisor) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, ref.Resource,
		fmt.Sprintf("only divisor's values %s are supported with the %s resource", byteDivisors, what))}
}
