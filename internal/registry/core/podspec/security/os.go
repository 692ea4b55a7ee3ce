package security

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/podfields"
)

// ValidateOS checks the operating system that a spec, which is at path, says that it is
// made for, and that it has no fields of the other one.
func ValidateOS(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	if spec.OS == nil {
		return nil
	}
	at := path.Child("os")
	switch spec.OS.Name {
	case corev1.Linux:
		return forbid(spec, path, linuxNever, "windows options cannot be set for a linux pod")
	case corev1.Windows:
		return forbid(spec, path, windowsNever, "cannot be set for a windows pod")
	case "":
		return field.ErrorList{field.Required(at.Child("name"), "cannot be empty")}
	}
	return field.ErrorList{field.NotSupported(at, spec.OS.Name, []corev1.OSName{corev1.Linux, corev1.Windows})}
}

// setting is a field, by its path, and whether something has it.
type setting struct {
	set  bool
	path string
}

// never is what an operating system cannot have, in a spec and in the security context
// of a container, in the order in which Kubernetes says so.
type never struct {
	spec      func(s *corev1.PodSpec, sc *corev1.PodSecurityContext) []setting
	container func(sc *corev1.SecurityContext) []setting
}

var linuxNever = never{
	spec: func(_ *corev1.PodSpec, sc *corev1.PodSecurityContext) []setting {
		return []setting{{sc.WindowsOptions != nil, "securityContext.windowsOptions"}}
	},
	container: func(sc *corev1.SecurityContext) []setting {
		return []setting{{sc.WindowsOptions != nil, "windowsOptions"}}
	},
}

var windowsNever = never{
	spec: func(s *corev1.PodSpec, sc *corev1.PodSecurityContext) []setting {
		return []setting{
			{sc.AppArmorProfile != nil, "securityContext.appArmorProfile"}, {sc.SELinuxOptions != nil, "securityContext.seLinuxOptions"},
			{s.HostUsers != nil, "hostUsers"}, {s.HostPID, "hostPID"}, {s.HostIPC, "hostIPC"},
			{sc.SeccompProfile != nil, "securityContext.seccompProfile"}, {sc.FSGroup != nil, "securityContext.fsGroup"},
			{sc.FSGroupChangePolicy != nil, "securityContext.fsGroupChangePolicy"}, {len(sc.Sysctls) > 0, "securityContext.sysctls"},
			{s.ShareProcessNamespace != nil, "shareProcessNamespace"}, {sc.RunAsUser != nil, "securityContext.runAsUser"},
			{sc.RunAsGroup != nil, "securityContext.runAsGroup"}, {sc.SupplementalGroups != nil, "securityContext.supplementalGroups"},
			{sc.SupplementalGroupsPolicy != nil, "securityContext.supplementalGroupsPolicy"}, {s.Resources != nil, "resources"},
		}
	},
	container: func(sc *corev1.SecurityContext) []setting {
		return []setting{
			{sc.AppArmorProfile != nil, "appArmorProfile"}, {sc.SELinuxOptions != nil, "seLinuxOptions"},
			{sc.SeccompProfile != nil, "seccompProfile"}, {sc.Capabilities != nil, "capabilities"},
			{sc.ReadOnlyRootFilesystem != nil, "readOnlyRootFilesystem"}, {sc.Privileged != nil, "privileged"},
			{sc.AllowPrivilegeEscalation != nil, "allowPrivilegeEscalation"}, {sc.ProcMount != nil, "procMount"},
			{sc.RunAsUser != nil, "runAsUser"}, {sc.RunAsGroup != nil, "runAsGroup"},
		}
	},
}

// forbid reports every field of n that a spec, which is at path, has.
func forbid(spec *corev1.PodSpec, path *field.Path, n never, message string) field.ErrorList {
	var errs field.ErrorList
	report := func(at *field.Path, settings []setting) {
		for _, s := range settings {
			if s.set {
				errs = append(errs, field.Forbidden(at.Child(s.path), message))
			}
		}
	}
	pod := spec.SecurityContext
	if pod == nil {
		pod = &corev1.PodSecurityContext{}
	}
	report(path, n.spec(spec, pod))
	for place, c := range podfields.Containers(spec) {
		if c.SecurityContext != nil {
			report(path.Child(string(place.List)).Index(place.Index).Child("securityContext"), n.container(c.SecurityContext))
		}
	}
	return errs
}
