// Package security has the rules of security contexts, of pods and of containers, and of
// user namespaces. What the agent does with them is internal/node/runspec's.
package security

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// ValidatePod checks spec.securityContext, which is at path, with what it rules out
// elsewhere in the spec.
func ValidatePod(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if share := spec.ShareProcessNamespace; share != nil && *share && spec.HostPID {
		errs = append(errs, field.Invalid(path.Child("shareProcessNamespace"), *share, "ShareProcessNamespace and HostPID cannot both be enabled"))
	}
	sc := spec.SecurityContext
	if sc == nil {
		return errs
	}
	errs = append(errs, check.ID(sc.FSGroup, validation.IsValidGroupID, path.Child("fsGroup"))...)
	errs = append(errs, check.ID(sc.RunAsUser, validation.IsValidUserID, path.Child("runAsUser"))...)
	errs = append(errs, check.ID(sc.RunAsGroup, validation.IsValidGroupID, path.Child("runAsGroup"))...)
	for i, gid := range sc.SupplementalGroups {
		errs = append(errs, check.Messages(validation.IsValidGroupID(gid), gid, path.Child("supplementalGroups").Index(i))...)
	}
	errs = append(errs, validateSysctls(spec, path.Child("sysctls"))...)
	errs = append(errs, check.SupportedIfSet(path.Child("fsGroupChangePolicy"), sc.FSGroupChangePolicy,
		corev1.FSGroupChangeAlways, corev1.FSGroupChangeOnRootMismatch)...)
	errs = append(errs, validateSeccomp(sc.SeccompProfile, path.Child("seccompProfile"))...)
	errs = append(errs, validateWindows(sc.WindowsOptions, path.Child("windowsOptions"))...)
	errs = append(errs, validateAppArmor(sc.AppArmorProfile, path.Child("appArmorProfile"))...)
	errs = append(errs, check.SupportedIfSet(path.Child("supplementalGroupsPolicy"), sc.SupplementalGroupsPolicy,
		corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)...)
	return append(errs, check.SupportedIfSet(path.Child("seLinuxChangePolicy"), sc.SELinuxChangePolicy,
		corev1.SELinuxChangePolicyMountOption, corev1.SELinuxChangePolicyRecursive)...)
}

// ValidateContainer checks the security context of a container. hostUsers is what
// HostUsers says of its pod.
func ValidateContainer(sc *corev1.SecurityContext, hostUsers bool, path *field.Path) field.ErrorList {
	if sc == nil {
		return nil
	}
	errs := check.ID(sc.RunAsUser, validation.IsValidUserID, path.Child("runAsUser"))
	errs = append(errs, check.ID(sc.RunAsGroup, validation.IsValidGroupID, path.Child("runAsGroup"))...)
	if sc.ProcMount != nil {
		errs = append(errs, check.SupportedIfSet(path.Child("procMount"), sc.ProcMount, corev1.DefaultProcMount, corev1.UnmaskedProcMount)...)
		if hostUsers && *sc.ProcMount == corev1.UnmaskedProcMount {
			errs = append(errs, field.Invalid(path.Child("procMount"), *sc.ProcMount, "`hostUsers` must be false to use `Unmasked`"))
		}
	}
	errs = append(errs, validateSeccomp(sc.SeccompProfile, path.Child("seccompProfile"))...)
	if sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation {
		if sc.Privileged != nil && *sc.Privileged {
			errs = append(errs, field.Invalid(path, sc, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
		}
		if sc.Capabilities != nil {
			for _, c := range sc.Capabilities.Add {
				if c == "CAP_SYS_ADMIN" {
					errs = append(errs, field.Invalid(path, sc, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"))
				}
			}
		}
	}
	errs = append(errs, validateWindows(sc.WindowsOptions, path.Child("windowsOptions"))...)
	return append(errs, validateAppArmor(sc.AppArmorProfile, path.Child("appArmorProfile"))...)
}

func validateSeccomp(p *corev1.SeccompProfile, path *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	var errs field.ErrorList
	if p.Type == "" {
		errs = append(errs, field.Required(path.Child("type"), "type is required when seccompProfile is set"))
	} else {
		errs = append(errs, check.SupportedIfSet(path.Child("type"), &p.Type, corev1.SeccompProfileTypeLocalhost,
			corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined)...)
	}
	at := path.Child("localhostProfile")
	switch {
	case p.Type != corev1.SeccompProfileTypeLocalhost:
		if p.LocalhostProfile != nil {
			errs = append(errs, field.Invalid(at, p, "can only be set when seccomp type is Localhost"))
		}
	case p.LocalhostProfile == nil:
		errs = append(errs, field.Required(at, "must be set when seccomp type is Localhost"))
	default:
		errs = append(errs, check.DescendingPath(*p.LocalhostProfile, at)...)
	}
	return errs
}

// maxAppArmorProfile is the longest path that Linux takes, less its end.
const maxAppArmorProfile = 4095

func validateAppArmor(p *corev1.AppArmorProfile, path *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	at := path.Child("localhostProfile")
	switch p.Type {
	case "":
		return field.ErrorList{field.Required(path.Child("type"), "type is required when appArmorProfile is set")}
	case corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined:
		if p.LocalhostProfile != nil {
			return field.ErrorList{field.Invalid(at, p.LocalhostProfile, "can only be set when AppArmor type is Localhost")}
		}
		return nil
	case corev1.AppArmorProfileTypeLocalhost:
	default:
		return check.SupportedIfSet(path.Child("type"), &p.Type, corev1.AppArmorProfileTypeLocalhost,
			corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined)
	}
	if p.LocalhostProfile == nil || *p.LocalhostProfile == "" {
		return field.ErrorList{field.Required(at, "must be set when AppArmor type is Localhost")}
	}
	var errs field.ErrorList
	if strings.TrimSpace(*p.LocalhostProfile) != *p.LocalhostProfile {
		errs = append(errs, field.Invalid(at, *p.LocalhostProfile, "must not be padded with whitespace"))
	}
	if len(*p.LocalhostProfile) > maxAppArmorProfile {
		errs = append(errs, field.TooLong(at, "", maxAppArmorProfile))
	}
	return errs
}

// AppArmorOfAnnotation returns the profile that an annotation of old names, or nil when
// it names none that could be a field.
func AppArmorOfAnnotation(value string) *corev1.AppArmorProfile {
	var p corev1.AppArmorProfile
	name, local := strings.CutPrefix(value, corev1.DeprecatedAppArmorBetaProfileNamePrefix)
	switch {
	case value == corev1.DeprecatedAppArmorBetaProfileRuntimeDefault:
		p.Type = corev1.AppArmorProfileTypeRuntimeDefault
	case value == corev1.DeprecatedAppArmorBetaProfileNameUnconfined:
		p.Type = corev1.AppArmorProfileTypeUnconfined
	case local:
		p.Type, p.LocalhostProfile = corev1.AppArmorProfileTypeLocalhost, &name
	}
	if len(validateAppArmor(&p, nil)) > 0 {
		return nil
	}
	return &p
}

// maxSysctl is the longest name of a kernel parameter, in bytes.
const maxSysctl = 253

var sysctlName = regexp.MustCompile(`^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`)

func validateSysctls(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, s := range spec.SecurityContext.Sysctls {
		at := path.Index(i).Child("name")
		switch {
		case s.Name == "":
			errs = append(errs, field.Required(at, ""))
		case len(s.Name) > maxSysctl || !sysctlName.MatchString(s.Name):
			errs = append(errs, field.Invalid(at, s.Name, fmt.Sprintf("must have at most %d characters and match regex %s", maxSysctl, sysctlName)))
		case seen[s.Name]:
			errs = append(errs, field.Duplicate(at, s.Name))
		}
		seen[s.Name] = true
		switch {
		case spec.HostNetwork && strings.HasPrefix(strings.ReplaceAll(s.Name, "/", "."), "net."):
			errs = append(errs, field.Invalid(at, s.Name, "may not be specified when 'hostNetwork' is true"))
		case spec.HostIPC && isIPCSysctl(strings.ReplaceAll(s.Name, "/", ".")):
			errs = append(errs, field.Invalid(at, s.Name, "may not be specified when 'hostIPC' is true"))
		}
	}
	return errs
}

func isIPCSysctl(name string) bool {
	return name == "kernel.sem" || strings.HasPrefix(name, "kernel.shm") || strings.HasPrefix(name, "kernel.msg") || strings.HasPrefix(name, "fs.mqueue.")
}

// ValidateHostUsers refuses namespaces of the host in a user namespace of its own.
func ValidateHostUsers(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	if HostUsers(spec) {
		return nil
	}
	var errs field.ErrorList
	for _, f := range []struct {
		set  bool
		name string
	}{{spec.HostNetwork, "hostNetwork"}, {spec.HostPID, "HostPID"}, {spec.HostIPC, "HostIPC"}} {
		if f.set {
			errs = append(errs, field.Forbidden(path.Child(f.name), "when `pod.Spec.HostUsers` is false"))
		}
	}
	return errs
}

// HostUsers is true when the pod shares the user namespace of the host.
func HostUsers(spec *corev1.PodSpec) bool { return spec.HostUsers == nil || *spec.HostUsers }
