package statefulset

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/controller/workload"
)

// ordinals are the numbers that the pods of a set are to have: from first up to, and
// without, end.
type ordinals struct{ first, end int64 }

func ordinalsOf(set *appsv1.StatefulSet) ordinals {
	first := int64(0)
	if set.Spec.Ordinals != nil {
		first = int64(set.Spec.Ordinals.Start)
	}
	return ordinals{first, first + int64(replicasOf(set))}
}

func (o ordinals) has(n int64) bool { return o.first <= n && n < o.end }

func replicasOf(set *appsv1.StatefulSet) int32 {
	if set.Spec.Replicas == nil {
		return 1
	}
	return max(*set.Spec.Replicas, 0)
}

// podName is that of the pod of a set with a number.
func podName(set *appsv1.StatefulSet, ordinal int64) string {
	return set.Name + "-" + strconv.FormatInt(ordinal, 10)
}

// ordinalOf is the number in a pod's name. ok is false for a name that is not one of the
// set's.
func ordinalOf(set *appsv1.StatefulSet, name string) (n int64, ok bool) {
	digits, ok := strings.CutPrefix(name, set.Name+"-")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == digits
}

// revisionOf is the revision that a pod was made from.
func revisionOf(pod *corev1.Pod) string { return pod.Labels[appsv1.ControllerRevisionHashLabelKey] }

// newPod is the pod of a set with a number, from a template.
func newPod(set *appsv1.StatefulSet, template *corev1.PodTemplateSpec, ordinal int64, revision string) *corev1.Pod {
	pod := workload.FromTemplate(template, set, kind)
	pod.GenerateName = ""
	pod.Name = podName(set, ordinal)
	pod.Spec.Hostname, pod.Spec.Subdomain = pod.Name, set.Spec.ServiceName
	pod.Labels = maps.Clone(pod.Labels)
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	identify(pod, ordinal)
	pod.Labels[appsv1.ControllerRevisionHashLabelKey] = revision
	mountClaims(set, pod, ordinal)
	return pod
}

// identify labels a pod with its name and number.
func identify(pod *corev1.Pod, ordinal int64) {
	pod.Labels[appsv1.StatefulSetPodNameLabel] = pod.Name
	pod.Labels[appsv1.PodIndexLabel] = strconv.FormatInt(ordinal, 10)
}

// isItself tells whether a pod has the labels and the claims that its number says.
func isItself(set *appsv1.StatefulSet, pod *corev1.Pod, ordinal int64) bool {
	if pod.Labels[appsv1.StatefulSetPodNameLabel] != pod.Name || pod.Labels[appsv1.PodIndexLabel] != strconv.FormatInt(ordinal, 10) {
		return false
	}
	return !slices.ContainsFunc(set.Spec.VolumeClaimTemplates, func(t corev1.PersistentVolumeClaim) bool {
		return !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
			return v.Name == t.Name && v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claimName(set, &t, ordinal)
		})
	})
}

// itself is a pod as isItself wants it.
func itself(set *appsv1.StatefulSet, pod *corev1.Pod, ordinal int64) *corev1.Pod {
	pod = pod.DeepCopy()
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	identify(pod, ordinal)
	mountClaims(set, pod, ordinal)
	return pod
}
