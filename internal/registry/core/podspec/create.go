package podspec

import (
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/registry/core/podspec/security"
)

// PrepareCreate turns what a new pod says in old ways into what is stored, and returns
// the warnings of that: Warnings does not see the old ways any more.
func PrepareCreate(pod *corev1.Pod) []string {
	return append(leastGrace(&pod.Spec), appArmorFields(pod)...)
}

// PrepareUpdate is PrepareCreate for a pod that is there already, whose containers cannot
// change.
func PrepareUpdate(pod *corev1.Pod) []string { return leastGrace(&pod.Spec) }

const negativeGrace = "must be >= 0; negative values are invalid and will be treated as 1"

// leastGrace gives pods that ask for less than no time to end one second.
func leastGrace(spec *corev1.PodSpec) []string {
	if g := spec.TerminationGracePeriodSeconds; g == nil || *g >= 0 {
		return nil
	}
	least := int64(1)
	spec.TerminationGracePeriodSeconds = &least
	return []string{field.NewPath("spec", "terminationGracePeriodSeconds").String() + ": " + negativeGrace}
}

const appArmorAnnotation = `deprecated since v1.30; use the "appArmorProfile" field instead`

// appArmorFields copies the profiles that annotations name into the fields of containers
// that have none (KEP-24), where they say another thing than the pod's own. Pods of
// Windows keep their annotations, which mean nothing there.
func appArmorFields(pod *corev1.Pod) []string {
	if pod.Spec.OS != nil && pod.Spec.OS.Name == corev1.Windows {
		return nil
	}
	var texts []string
	for _, c := range podfields.Containers(&pod.Spec) {
		key := corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix + c.Name
		value, ok := pod.Annotations[key]
		if !ok || (c.SecurityContext != nil && c.SecurityContext.AppArmorProfile != nil) {
			continue
		}
		profile := security.AppArmorOfAnnotation(value)
		if profile != nil && pod.Spec.SecurityContext != nil && apiequality.Semantic.DeepEqual(profile, pod.Spec.SecurityContext.AppArmorProfile) {
			continue
		}
		if profile != nil {
			if c.SecurityContext == nil {
				c.SecurityContext = &corev1.SecurityContext{}
			}
			c.SecurityContext.AppArmorProfile = profile
		}
		texts = append(texts, field.NewPath("metadata", "annotations").Key(key).String()+": "+appArmorAnnotation)
	}
	return texts
}
