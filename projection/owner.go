package projection

import corev1 "k8s.io/api/core/v1"

// FSGroup returns the pod's fsGroup: the group of its volumes' files, or nil.
func FSGroup(pod *corev1.Pod) *int64 {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	return pod.Spec.SecurityContext.FSGroup
}

// FSUser returns the user that token files shall belong to: the one that every
// container, also init and ephemeral ones, runs as by its own or the pod's
// runAsUser. It is nil when one of them says nothing or two differ. Zero is a user.
func FSUser(pod *corev1.Pod) *int64 {
	var user *int64
	for c := range containers(&pod.Spec) {
		own := podUser(pod)
		if s := c.SecurityContext; s != nil && s.RunAsUser != nil {
			own = s.RunAsUser
		}
		if own == nil || user != nil && *user != *own {
			return nil
		}
		user = own
	}
	return user
}

func podUser(pod *corev1.Pod) *int64 {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	return pod.Spec.SecurityContext.RunAsUser
}
