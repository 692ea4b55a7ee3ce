package deployment

import (
	appsv1 "k8s.io/api/apps/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/apps/setrules"
	"laterna.dev/laterna/internal/registry/core/podspec/template"
)

// of is a Deployment in messages; upstream says ReplicaSet of its pods.
var of = template.Of{Selects: "deployment", Runs: "ReplicaSet"}

func validate(d *appsv1.Deployment) field.ErrorList {
	s, path := &d.Spec, field.NewPath("spec")
	errs := template.NonNegative(path, template.Number{Name: "replicas", Value: int64(ptr.Deref(s.Replicas, 0))})
	errs = append(errs, of.Validate(s.Selector, &s.Template, path)...)
	errs = append(errs, validateStrategy(&s.Strategy, path.Child("strategy"))...)
	errs = append(errs, template.NonNegative(path,
		template.Number{Name: "minReadySeconds", Value: int64(s.MinReadySeconds)},
		template.Number{Name: "revisionHistoryLimit", Value: int64(ptr.Deref(s.RevisionHistoryLimit, 0))})...)
	if p := s.ProgressDeadlineSeconds; p != nil {
		errs = append(errs, template.NonNegative(path, template.Number{Name: "progressDeadlineSeconds", Value: int64(*p)})...)
		if *p <= s.MinReadySeconds {
			errs = append(errs, field.Invalid(path.Child("progressDeadlineSeconds"), *p, "must be greater than minReadySeconds"))
		}
	}
	return errs
}

func validateChange(d, old *appsv1.Deployment) field.ErrorList {
	return append(validate(d), apivalidation.ValidateImmutableField(d.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))...)
}

// unsupported is how upstream prints a strategy that it does not know.
type unsupported struct {
	Type          appsv1.DeploymentStrategyType
	RollingUpdate *appsv1.RollingUpdateDeployment
}

func validateStrategy(s *appsv1.DeploymentStrategy, path *field.Path) field.ErrorList {
	rolling := path.Child("rollingUpdate")
	switch s.Type {
	case appsv1.RecreateDeploymentStrategyType:
		if s.RollingUpdate != nil {
			return field.ErrorList{field.Forbidden(rolling, "may not be specified when strategy `type` is 'Recreate'")}
		}
	case appsv1.RollingUpdateDeploymentStrategyType:
		if s.RollingUpdate == nil {
			return field.ErrorList{field.Required(rolling, "this should be defaulted and never be nil")}
		}
		return validateRolling(s.RollingUpdate, rolling)
	default:
		return field.ErrorList{field.NotSupported(path, unsupported(*s), []appsv1.DeploymentStrategyType{
			appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType,
		})}
	}
	return nil
}

func validateRolling(r *appsv1.RollingUpdateDeployment, path *field.Path) field.ErrorList {
	down, up := ptr.Deref(r.MaxUnavailable, intstr.IntOrString{}), ptr.Deref(r.MaxSurge, intstr.IntOrString{})
	at := path.Child("maxUnavailable")
	errs := setrules.Amount(down, at)
	errs = append(errs, setrules.Amount(up, path.Child("maxSurge"))...)
	if setrules.IsZero(&down) && setrules.IsZero(&up) {
		errs = append(errs, field.Invalid(at, down, "may not be 0 when `maxSurge` is 0"))
	}
	return append(errs, setrules.AtMostAll(down, at)...)
}

func validateStatus(s, old *appsv1.DeploymentStatus, path *field.Path) field.ErrorList {
	errs := template.NonNegative(path, []template.Number{
		{Name: "observedGeneration", Value: s.ObservedGeneration},
		{Name: "replicas", Value: int64(s.Replicas)},
		{Name: "updatedReplicas", Value: int64(s.UpdatedReplicas)},
		{Name: "readyReplicas", Value: int64(s.ReadyReplicas)},
		{Name: "availableReplicas", Value: int64(s.AvailableReplicas)},
		{Name: "unavailableReplicas", Value: int64(s.UnavailableReplicas)},
		{Name: "terminatingReplicas", Value: int64(ptr.Deref(s.TerminatingReplicas, 0))},
		{Name: "collisionCount", Value: int64(ptr.Deref(s.CollisionCount, 0))},
	}...)
	errs = append(errs, template.ValidateCounts(template.Counts{
		Replicas: s.Replicas, Updated: s.UpdatedReplicas, Ready: s.ReadyReplicas, Available: s.AvailableReplicas,
	}, path)...)
	// A hash that is taken once stays taken.
	if now := ptr.Deref(s.CollisionCount, 0); now < ptr.Deref(old.CollisionCount, 0) {
		errs = append(errs, field.Invalid(path.Child("collisionCount"), now, "cannot be decremented"))
	}
	return errs
}
