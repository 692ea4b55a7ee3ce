package lifecycle

import corev1 "k8s.io/api/core/v1"

// Before lists the containers that must have ended before one of them is stopped when
// the whole pod ends: a sidecar outlives all main and init containers and the sidecars
// after it. A container that the spec does not have waits for none.
func Before(spec *corev1.PodSpec, name string) (names []string) {
	after := false
	for _, c := range Only(spec, Init, Sidecar, Main) {
		switch {
		case c.Spec.Name == name:
			if c.Role != Sidecar {
				return nil
			}
			after = true
		case c.Role != Sidecar, after:
			names = append(names, c.Spec.Name)
		}
	}
	if !after {
		return nil
	}
	return names
}
