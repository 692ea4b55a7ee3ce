package daemonset

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/apps/setrules"
	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/template"
)

// of is how messages call the kind.
var of = template.Of{Selects: "daemonset", Runs: "DaemonSet"}

func validate(d *appsv1.DaemonSet) field.ErrorList {
	s, path := &d.Spec, field.NewPath("spec")
	errs := of.ValidateSelector(s.Selector, path.Child("selector"))
	at := path.Child("template")
	if selector, err := metav1.LabelSelectorAsSelector(s.Selector); err == nil {
		errs = append(errs, template.ValidateMatch(selector, &s.Template, at)...)
	}
	errs = append(errs, podspec.ValidateTemplate(&s.Template, at)...)
	errs = append(errs, validateDisks(s.Template.Spec.Volumes, at.Child("spec", "volumes"))...)
	errs = append(errs, of.ValidateLasting(&s.Template.Spec, at.Child("spec"))...)
	errs = append(errs, check.NonNegative(int64(s.MinReadySeconds), path.Child("minReadySeconds"))...)
	errs = append(errs, validateStrategy(&s.UpdateStrategy, path.Child("updateStrategy"))...)
	if s.RevisionHistoryLimit != nil {
		errs = append(errs, check.NonNegative(int64(*s.RevisionHistoryLimit), path.Child("revisionHistoryLimit"))...)
	}
	return errs
}

// validateDisks refuses disks that are written to: one is attached to one node only.
func validateDisks(volumes []corev1.Volume, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, v := range volumes {
		if disk := v.GCEPersistentDisk; disk != nil && !disk.ReadOnly {
			errs = append(errs, field.Invalid(path.Index(i).Child("gcePersistentDisk", "readOnly"), false, "must be true for replicated pods > 1; GCE PD can only be mounted on multiple machines if it is read-only"))
		}
	}
	return errs
}

func validateStrategy(s *appsv1.DaemonSetUpdateStrategy, path *field.Path) field.ErrorList {
	switch s.Type {
	case appsv1.OnDeleteDaemonSetStrategyType:
		return nil
	case appsv1.RollingUpdateDaemonSetStrategyType:
		if s.RollingUpdate == nil {
			return field.ErrorList{field.Required(path.Child("rollingUpdate"), "")}
		}
		return validateRollingUpdate(s.RollingUpdate, path.Child("rollingUpdate"))
	}
	return field.ErrorList{field.NotSupported(path, s.Type, []appsv1.DaemonSetUpdateStrategyType{appsv1.RollingUpdateDaemonSetStrategyType, appsv1.OnDeleteDaemonSetStrategyType})}
}

func validateRollingUpdate(r *appsv1.RollingUpdateDaemonSet, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	unavailable, surge := path.Child("maxUnavailable"), path.Child("maxSurge")
	if r.MaxUnavailable != nil {
		errs = append(errs, setrules.IntOrPercent(*r.MaxUnavailable, unavailable)...)
	}
	if r.MaxSurge != nil {
		errs = append(errs, setrules.IntOrPercent(*r.MaxSurge, surge)...)
	}
	switch none, beside := setrules.IsZero(r.MaxUnavailable), !setrules.IsZero(r.MaxSurge); {
	case !none && beside:
		errs = append(errs, field.Invalid(surge, r.MaxSurge, "may not be set when maxUnavailable is non-zero"))
	case none && !beside:
		errs = append(errs, field.Required(unavailable, "cannot be 0 when maxSurge is 0"))
	}
	return errs
}

func validateUpdate(d, old *appsv1.DaemonSet) field.ErrorList {
	return append(validate(d), apivalidation.ValidateImmutableField(d.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))...)
}

func validateStatus(d, old *appsv1.DaemonSet) field.ErrorList {
	var errs field.ErrorList
	s, path := &d.Status, field.NewPath("status")
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"currentNumberScheduled", int64(s.CurrentNumberScheduled)},
		{"numberMisscheduled", int64(s.NumberMisscheduled)},
		{"desiredNumberScheduled", int64(s.DesiredNumberScheduled)},
		{"numberReady", int64(s.NumberReady)},
		{"observedGeneration", s.ObservedGeneration},
		{"updatedNumberScheduled", int64(s.UpdatedNumberScheduled)},
		{"numberAvailable", int64(s.NumberAvailable)},
		{"numberUnavailable", int64(s.NumberUnavailable)},
	} {
		errs = append(errs, check.NonNegative(n.value, path.Child(n.name))...)
	}
	if s.CollisionCount != nil {
		errs = append(errs, check.NonNegative(int64(*s.CollisionCount), path.Child("collisionCount"))...)
	}
	return append(errs, setrules.Collisions(s.CollisionCount, old.Status.CollisionCount, path.Child("collisionCount"))...)
}
