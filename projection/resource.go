package projection

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ResourceFieldRef returns a request or limit of a container of pod, divided by the
// reference's divisor (1 when unset) and rounded up. The container is the one the
// reference names, else the given one, which is how an environment variable means its
// own. A limit of cpu, memory or ephemeral storage that is unset or zero is the pod's
// own limit, if there is one, else the node's allocatable amount; an unset request is
// 0.
func ResourceFieldRef(pod *corev1.Pod, container string, ref *corev1.ResourceFieldSelector, allocatable corev1.ResourceList) (string, error) {
	if ref.ContainerName != "" {
		container = ref.ContainerName
	}
	c, err := findContainer(pod, container)
	if err != nil {
		return "", err
	}
	kind, name, ok := strings.Cut(ref.Resource, ".")
	resourceName := corev1.ResourceName(name)
	if !ok || !countable(resourceName) {
		return "", fmt.Errorf("unsupported container resource : %s", ref.Resource)
	}
	var amount resource.Quantity
	switch kind {
	case "requests":
		amount = c.Resources.Requests[resourceName]
	case "limits":
		amount = limit(pod, c, resourceName, allocatable)
	default:
		return "", fmt.Errorf("unsupported container resource : %s", ref.Resource)
	}
	return divide(amount, ref.Divisor, resourceName == corev1.ResourceCPU), nil
}

func countable(name corev1.ResourceName) bool {
	return defaulted(name) || strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// defaulted tells whether an unset limit means all that there is.
func defaulted(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage
}

func limit(pod *corev1.Pod, c *corev1.Container, name corev1.ResourceName, allocatable corev1.ResourceList) resource.Quantity {
	amount := c.Resources.Limits[name]
	if !amount.IsZero() || !defaulted(name) {
		return amount
	}
	if pod.Spec.Resources != nil {
		if whole, ok := pod.Spec.Resources.Limits[name]; ok && !whole.IsZero() {
			return whole
		}
	}
	return allocatable[name]
}

func findContainer(pod *corev1.Pod, name string) (*corev1.Container, error) {
	for c := range containers(&pod.Spec) {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("container %s not found", name)
}

// divide returns ceil(amount / divisor) as decimal text. CPU is counted in
// thousandths, everything else in units.
func divide(amount, divisor resource.Quantity, milli bool) string {
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	a, d := amount.Value(), divisor.Value()
	if milli {
		a, d = amount.MilliValue(), divisor.MilliValue()
	}
	quotient := a / d
	if a%d > 0 {
		quotient++
	}
	return strconv.FormatInt(quotient, 10)
}
