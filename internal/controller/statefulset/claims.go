package statefulset

import (
	"maps"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// claimName is that of the claim that the pod with a number has of a template.
func claimName(set *appsv1.StatefulSet, t *corev1.PersistentVolumeClaim, ordinal int64) string {
	return t.Name + "-" + set.Name + "-" + strconv.FormatInt(ordinal, 10)
}

// newClaim is the claim of a template for the pod with a number.
func newClaim(set *appsv1.StatefulSet, t *corev1.PersistentVolumeClaim, ordinal int64) *corev1.PersistentVolumeClaim {
	claim := t.DeepCopy()
	claim.Name, claim.Namespace = claimName(set, t, ordinal), set.Namespace
	claim.Labels = maps.Clone(claim.Labels)
	if claim.Labels == nil {
		claim.Labels = map[string]string{}
	}
	maps.Copy(claim.Labels, set.Spec.Selector.MatchLabels)
	return claim
}

// mountClaims puts a pod's claims before its other volumes, in the place of those of
// their names.
func mountClaims(set *appsv1.StatefulSet, pod *corev1.Pod, ordinal int64) {
	var volumes []corev1.Volume
	claimed := map[string]bool{}
	for i := range set.Spec.VolumeClaimTemplates {
		t := &set.Spec.VolumeClaimTemplates[i]
		if claimed[t.Name] {
			continue
		}
		claimed[t.Name] = true
		volumes = append(volumes, corev1.Volume{Name: t.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName(set, t, ordinal)},
		}})
	}
	for _, v := range pod.Spec.Volumes {
		if !claimed[v.Name] {
			volumes = append(volumes, v)
		}
	}
	pod.Spec.Volumes = volumes
}

// owners are those that a claim goes with: by its policy a set's claims may go with the
// set, and those of a pod that was scaled away with that pod. It returns false where they
// are as they should be, or where another controller owns the claim.
func owners(set *appsv1.StatefulSet, pod *corev1.Pod, scaledAway bool, claim *corev1.PersistentVolumeClaim) ([]metav1.OwnerReference, bool) {
	of := func(r metav1.OwnerReference) bool { return r.UID == set.UID || pod != nil && r.UID == pod.UID }
	if owner := metav1.GetControllerOf(claim); owner != nil && !of(*owner) && !stale(set, owner) {
		return nil, false
	}
	withSet, withPod := goes(set, scaledAway)
	wanted := slices.DeleteFunc(slices.Clone(claim.OwnerReferences), func(r metav1.OwnerReference) bool { return of(r) || stale(set, &r) })
	if withSet {
		wanted = append(wanted, *metav1.NewControllerRef(set, kind))
	}
	if withPod && pod != nil {
		wanted = append(wanted, *metav1.NewControllerRef(pod, corev1.SchemeGroupVersion.WithKind("Pod")))
	}
	return wanted, !sameOwners(claim.OwnerReferences, wanted)
}

// stale tells whether an owner is an earlier set of the name.
func stale(set *appsv1.StatefulSet, owner *metav1.OwnerReference) bool {
	return owner.APIVersion == kind.GroupVersion().String() && owner.Kind == kind.Kind && owner.Name == set.Name && owner.UID != set.UID
}

// goes tells with whom claims go.
func goes(set *appsv1.StatefulSet, scaledAway bool) (withSet, withPod bool) {
	keep := set.Spec.PersistentVolumeClaimRetentionPolicy
	if keep == nil {
		return false, false
	}
	withPod = scaledAway && keep.WhenScaled == appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	return keep.WhenDeleted == appsv1.DeletePersistentVolumeClaimRetentionPolicyType && !withPod, withPod
}

func sameOwners(a, b []metav1.OwnerReference) bool {
	uids := func(all []metav1.OwnerReference) (s []string) {
		for _, r := range all {
			s = append(s, string(r.UID))
		}
		slices.Sort(s)
		return s
	}
	return slices.Equal(uids(a), uids(b))
}

// goesWithAnother tells whether a claim goes with an earlier pod of the name that is to
// be made anew: the pod waits until the claim is gone.
func goesWithAnother(name string, claim *corev1.PersistentVolumeClaim) bool {
	return slices.ContainsFunc(claim.OwnerReferences, func(r metav1.OwnerReference) bool {
		return r.APIVersion == "v1" && r.Kind == "Pod" && r.Name == name
	})
}
