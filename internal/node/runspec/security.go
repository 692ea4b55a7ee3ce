package runspec

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

// maskedPaths and readonlyPaths are those of procMount Default.
var (
	maskedPaths = []string{
		"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
		"/sys/devices/virtual/powercap",
	}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// containerSecurity merges the container's security context over the pod's.
func containerSecurity(pod *corev1.Pod, c *corev1.Container, image cri.Image) (cri.ContainerSecurity, error) {
	ps, cs := pod.Spec.SecurityContext, c.SecurityContext
	if ps == nil {
		ps = &corev1.PodSecurityContext{}
	}
	if cs == nil {
		cs = &corev1.SecurityContext{}
	}
	out := cri.ContainerSecurity{
		RunAsUser:          first(cs.RunAsUser, ps.RunAsUser),
		RunAsGroup:         first(cs.RunAsGroup, ps.RunAsGroup),
		SupplementalGroups: supplementalGroups(ps),
		StrictGroups:       strictGroups(ps),
		Privileged:         isTrue(cs.Privileged),
		ReadOnlyRootFS:     isTrue(cs.ReadOnlyRootFilesystem),
		NoNewPrivileges:    cs.AllowPrivilegeEscalation != nil && !*cs.AllowPrivilegeEscalation,
		Seccomp:            seccomp(first(cs.SeccompProfile, ps.SeccompProfile)),
		AppArmor:           appArmor(first(cs.AppArmorProfile, ps.AppArmorProfile)),
		Namespaces:         namespaces(pod),
	}
	if cs.ProcMount == nil || *cs.ProcMount == corev1.DefaultProcMount {
		out.MaskedPaths, out.ReadonlyPaths = maskedPaths, readonlyPaths
	}
	if cs.Capabilities != nil {
		out.AddCapabilities = names(cs.Capabilities.Add)
		out.DropCapabilities = names(cs.Capabilities.Drop)
	}
	if isTrue(first(cs.RunAsNonRoot, ps.RunAsNonRoot)) {
		if err := verifyNonRoot(out.RunAsUser, image); err != nil {
			return out, fmt.Errorf("%w (pod: \"%s_%s(%s)\", container: %s)", err, pod.Name, pod.Namespace, pod.UID, c.Name)
		}
	}
	if out.RunAsUser == nil {
		out.RunAsUser, out.RunAsUsername = imageUser(image)
	}
	return out, nil
}

// imageUser is the user that the image asks for: a number, else a name, else root.
func imageUser(image cri.Image) (*int64, string) {
	switch {
	case image.UID != nil:
		return image.UID, ""
	case image.Username != "":
		return nil, image.Username
	}
	return new(int64), ""
}

func verifyNonRoot(user *int64, image cri.Image) error {
	if user != nil {
		if *user == 0 {
			return errors.New("container's runAsUser breaks non-root policy")
		}
		return nil
	}
	uid, name := imageUser(image)
	switch {
	case uid == nil:
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root", name)
	case *uid == 0:
		return errors.New("container has runAsNonRoot and image will run as root")
	}
	return nil
}

// supplementalGroups has fsGroup first, as the volumes belong to it.
func supplementalGroups(sc *corev1.PodSecurityContext) []int64 {
	var out []int64
	if sc.FSGroup != nil {
		out = append(out, *sc.FSGroup)
	}
	return append(out, sc.SupplementalGroups...)
}

func strictGroups(sc *corev1.PodSecurityContext) bool {
	return sc.SupplementalGroupsPolicy != nil && *sc.SupplementalGroupsPolicy == corev1.SupplementalGroupsPolicyStrict
}

// seccomp is unconfined where the pod names no profile, as upstream by default.
func seccomp(p *corev1.SeccompProfile) cri.Profile {
	if p == nil {
		return cri.Profile{Kind: cri.ProfileUnconfined}
	}
	switch p.Type {
	case corev1.SeccompProfileTypeRuntimeDefault:
		return cri.Profile{Kind: cri.ProfileRuntimeDefault}
	case corev1.SeccompProfileTypeLocalhost:
		return cri.Profile{Kind: cri.ProfileLocalhost, Localhost: deref(p.LocalhostProfile)}
	}
	return cri.Profile{Kind: cri.ProfileUnconfined}
}

// appArmor leaves the choice to the runtime where the pod names no profile.
func appArmor(p *corev1.AppArmorProfile) cri.Profile {
	if p == nil {
		return cri.Profile{}
	}
	switch p.Type {
	case corev1.AppArmorProfileTypeRuntimeDefault:
		return cri.Profile{Kind: cri.ProfileRuntimeDefault}
	case corev1.AppArmorProfileTypeLocalhost:
		return cri.Profile{Kind: cri.ProfileLocalhost, Localhost: deref(p.LocalhostProfile)}
	}
	return cri.Profile{Kind: cri.ProfileUnconfined}
}

// first returns the first pointer that is set: the container's over the pod's.
func first[T any](ps ...*T) *T {
	for _, p := range ps {
		if p != nil {
			return p
		}
	}
	return nil
}

func names(caps []corev1.Capability) []string {
	out := make([]string, 0, len(caps))
	for _, c := range caps {
		out = append(out, string(c))
	}
	return out
}

func isTrue(b *bool) bool { return b != nil && *b }

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
