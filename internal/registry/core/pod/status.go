package pod

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/resource"
)

func statusRules() resource.Rules[*corev1.Pod] {
	return resource.Rules[*corev1.Pod]{
		PrepareUpdate:  func(_ context.Context, p, old *corev1.Pod) { prepareStatus(p, old) },
		ValidateUpdate: func(_ context.Context, p, old *corev1.Pod) field.ErrorList { return validateStatus(p, old) },
		WarnUpdate:     func(_ context.Context, p, _ *corev1.Pod) []string { return warnStatus(p) },
		Reset:          []string{"spec", "metadata.deletionTimestamp", "metadata.ownerReferences"},
	}
}

func prepareStatus(p, old *corev1.Pod) {
	p.Spec = old.Spec
	// A writer that has not seen the deletion must not undo it.
	p.DeletionTimestamp = nil
	p.OwnerReferences = old.OwnerReferences
	if p.Status.QOSClass == "" {
		p.Status.QOSClass = old.Status.QOSClass
	}
	syncPodIPs(&p.Status)
	keepObserved(&p.Status, &old.Status)
}

// syncPodIPs makes podIP the first of podIPs. Where both are given and differ,
// podIP counts, since old writers know no other.
func syncPodIPs(s *corev1.PodStatus) {
	switch {
	case s.PodIP != "" && (len(s.PodIPs) == 0 || s.PodIPs[0].IP != s.PodIP):
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	case s.PodIP == "" && len(s.PodIPs) > 0:
		s.PodIP = s.PodIPs[0].IP
	}
}

// keepObserved carries over the observed generations that the writer left out, as
// writers that do not know the field do.
func keepObserved(s, old *corev1.PodStatus) {
	if s.ObservedGeneration == 0 {
		s.ObservedGeneration = old.ObservedGeneration
	}
	// One type may occur more than once: the nth follows the nth.
	before := map[corev1.PodConditionType][]int64{}
	for _, c := range old.Conditions {
		before[c.Type] = append(before[c.Type], c.ObservedGeneration)
	}
	for i := range s.Conditions {
		c := &s.Conditions[i]
		if list := before[c.Type]; len(list) > 0 {
			if c.ObservedGeneration == 0 {
				c.ObservedGeneration = list[0]
			}
			before[c.Type] = list[1:]
		}
	}
}

func validateStatus(p, old *corev1.Pod) field.ErrorList {
	errs := append(validateAnnotationUpdate(p, old), validateOnUpdate(p, old)...)
	errs = append(errs, podspec.ValidateAnnotations(p.Annotations, &p.Spec, field.NewPath("metadata", "annotations"))...)
	errs = append(errs, validateFinalizers(p.Finalizers, field.NewPath("metadata", "finalizers"))...)
	path := field.NewPath("status")
	errs = append(errs, validateConditions(p.Status.Conditions, path.Child("conditions"))...)
	if name := p.Status.NominatedNodeName; name != "" && name != old.Status.NominatedNodeName {
		for _, msg := range apivalidation.NameIsDNSSubdomain(name, false) {
			errs = append(errs, field.Invalid(path.Child("nominatedNodeName"), name, msg))
		}
	}
	errs = append(errs, apivalidation.ValidateImmutableField(p.Status.QOSClass, old.Status.QOSClass, path.Child("qosClass"))...)
	errs = append(errs, validateStates(p, old, path)...)
	errs = append(errs, validateIPs(podIPs(&p.Status), podIPs(&old.Status), path.Child("podIPs"))...)
	if ips := p.Status.HostIPs; len(ips) > 0 && ips[0].IP != p.Status.HostIP {
		errs = append(errs, field.Invalid(path.Child("hostIPs").Index(0).Child("ip"), ips[0].IP, "must be equal to `hostIP`"))
	}
	return append(errs, validateIPs(hostIPs(&p.Status), hostIPs(&old.Status), path.Child("hostIPs"))...)
}

func validateConditions(conditions []corev1.PodCondition, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, c := range conditions {
		switch c.Type {
		case corev1.PodScheduled, corev1.PodReady, corev1.PodInitialized:
			continue
		}
		for _, msg := range validation.IsQualifiedName(string(c.Type)) {
			errs = append(errs, field.Invalid(path.Index(i).Child("Type"), string(c.Type), msg))
		}
	}
	return errs
}

// validateStates refuses to bring a container back that has ended for good. Init
// containers may run again while the pod has not ended, whatever the policy: they do
// when its sandbox had to be made anew.
func validateStates(p, old *corev1.Pod, path *field.Path) field.ErrorList {
	spec := &old.Spec
	all := spec.RestartPolicy == corev1.RestartPolicyAlways || podfields.MayRestartAll(spec)
	var errs field.ErrorList
	for _, list := range []struct {
		of       podfields.List
		now, old []corev1.ContainerStatus
		free     bool
		path     string
	}{
		{podfields.Main, p.Status.ContainerStatuses, old.Status.ContainerStatuses, all, "containerStatuses"},
		{podfields.Init, p.Status.InitContainerStatuses, old.Status.InitContainerStatuses, all || !isTerminal(old.Status.Phase), "initContainerStatuses"},
		{podfields.Ephemeral, p.Status.EphemeralContainerStatuses, old.Status.EphemeralContainerStatuses, false, "ephemeralContainerStatuses"},
	} {
		back := func(s *corev1.ContainerStatus) bool {
			c := podfields.Container(spec, s.Name)
			if c == nil {
				c = &corev1.Container{}
			}
			return list.free || podfields.RestartsAfter(spec, list.of, c, s.State.Terminated.ExitCode)
		}
		errs = append(errs, validateTransition(list.now, list.old, back, path.Child(list.path))...)
	}
	return errs
}

// validateTransition refuses that a container of old runs again now, unless back says
// that it may.
func validateTransition(now, old []corev1.ContainerStatus, back func(*corev1.ContainerStatus) bool, path *field.Path) field.ErrorList {
	running := map[string]bool{}
	for _, s := range now {
		if s.State.Terminated == nil {
			running[s.Name] = true
		}
	}
	var errs field.ErrorList
	for i := range old {
		if s := &old[i]; s.State.Terminated != nil && running[s.Name] && !back(s) {
			errs = append(errs, field.Forbidden(path.Index(i).Child("state"), "may not be transitioned to non-terminated state"))
		}
	}
	return errs
}

func podIPs(s *corev1.PodStatus) []string {
	var ips []string
	for _, ip := range s.PodIPs {
		ips = append(ips, ip.IP)
	}
	return ips
}

func hostIPs(s *corev1.PodStatus) []string {
	var ips []string
	for _, ip := range s.HostIPs {
		ips = append(ips, ip.IP)
	}
	return ips
}

// validateIPs requires addresses that are valid or as they were, at most one of each
// family.
func validateIPs(ips, old []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, ip := range ips {
		errs = append(errs, validation.IsValidIPForLegacyField(path.Index(i), ip, true, old)...)
		if seen[ip] {
			errs = append(errs, field.Duplicate(path.Index(i), ip))
		}
		seen[ip] = true
	}
	if len(ips) < 2 {
		return errs
	}
	if dual, err := netutils.IsDualStackIPStrings(ips); err != nil || !dual || len(ips) > 2 {
		errs = append(errs, field.Invalid(path, ips, "may specify no more than one IP for each IP family"))
	}
	return errs
}

func warnStatus(p *corev1.Pod) []string {
	var warnings []string
	for i, ip := range podIPs(&p.Status) {
		warnings = append(warnings, validation.GetWarningsForIP(field.NewPath("status", "podIPs").Index(i).Child("ip"), ip)...)
	}
	for i, ip := range hostIPs(&p.Status) {
		warnings = append(warnings, validation.GetWarningsForIP(field.NewPath("status", "hostIPs").Index(i).Child("ip"), ip)...)
	}
	return warnings
}
