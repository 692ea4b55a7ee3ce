package statefulset

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/apps/setrules"
	"laterna.dev/laterna/internal/registry/core/persistentvolumeclaim"
	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/template"
)

// of is how messages call the kind.
var of = template.Of{Selects: "statefulset", Runs: "StatefulSet"}

// stored says what an update does not complain of: it was stored so.
type stored struct{ name, claims, template bool }

func validate(s *appsv1.StatefulSet) field.ErrorList { return validateSpec(&s.Spec, stored{}) }

func validateSpec(s *appsv1.StatefulSetSpec, stored stored) field.ErrorList {
	path := field.NewPath("spec")
	errs := validatePolicies(s, path)
	if !stored.claims {
		for i := range s.VolumeClaimTemplates {
			errs = append(errs, persistentvolumeclaim.ValidateSpec(&s.VolumeClaimTemplates[i].Spec, path.Child("volumeClaimTemplates").Index(i).Child("spec"))...)
		}
	}
	if s.Replicas != nil {
		errs = append(errs, check.NonNegative(int64(*s.Replicas), path.Child("replicas"))...)
	}
	errs = append(errs, check.NonNegative(int64(s.MinReadySeconds), path.Child("minReadySeconds"))...)
	if s.Ordinals != nil {
		errs = append(errs, check.NonNegative(int64(s.Ordinals.Start), path.Child("ordinals.start"))...)
	}
	if s.ServiceName != "" && !stored.name {
		errs = append(errs, check.DNSLabel(s.ServiceName, path.Child("serviceName"))...)
	}
	if s.Selector == nil {
		errs = append(errs, field.Required(path.Child("selector"), ""))
	} else {
		errs = append(errs, of.ValidateSelector(s.Selector, path.Child("selector"))...)
	}
	at := path.Child("template")
	if s.Selector != nil && len(s.Selector.MatchLabels)+len(s.Selector.MatchExpressions) > 0 {
		if selector, err := metav1.LabelSelectorAsSelector(s.Selector); err == nil {
			errs = append(errs, template.ValidateMatch(selector, &s.Template, at)...)
		}
	}
	if !stored.template {
		errs = append(errs, podspec.ValidateTemplate(withClaims(s), at)...)
	}
	return append(errs, of.ValidateLasting(&s.Template.Spec, at.Child("spec"))...)
}

func validatePolicies(s *appsv1.StatefulSetSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch at := path.Child("podManagementPolicy"); s.PodManagementPolicy {
	case "":
		errs = append(errs, field.Required(at, ""))
	case appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement:
	default:
		errs = append(errs, field.Invalid(at, s.PodManagementPolicy, fmt.Sprintf("must be '%s' or '%s'", appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement)))
	}
	errs = append(errs, validateStrategy(&s.UpdateStrategy, path.Child("updateStrategy"))...)
	if keep := s.PersistentVolumeClaimRetentionPolicy; keep != nil {
		at := path.Child("persistentVolumeClaimRetentionPolicy")
		errs = append(errs, validateRetention(keep.WhenDeleted, at.Child("whenDeleted"))...)
		errs = append(errs, validateRetention(keep.WhenScaled, at.Child("whenScaled"))...)
	}
	return errs
}

func validateRetention(p appsv1.PersistentVolumeClaimRetentionPolicyType, path *field.Path) field.ErrorList {
	all := []appsv1.PersistentVolumeClaimRetentionPolicyType{appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType}
	if slices.Contains(all, p) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, p, all)}
}

func validateStrategy(u *appsv1.StatefulSetUpdateStrategy, path *field.Path) field.ErrorList {
	rolling := path.Child("rollingUpdate")
	switch u.Type {
	case "":
		return field.ErrorList{field.Required(path, "")}
	case appsv1.OnDeleteStatefulSetStrategyType:
		if u.RollingUpdate != nil {
			return field.ErrorList{field.Invalid(rolling, u.RollingUpdate, fmt.Sprintf("only allowed for updateStrategy '%s'", appsv1.RollingUpdateStatefulSetStrategyType))}
		}
		return nil
	case appsv1.RollingUpdateStatefulSetStrategyType:
		if u.RollingUpdate == nil {
			return nil
		}
		var errs field.ErrorList
		if u.RollingUpdate.Partition != nil {
			errs = append(errs, check.NonNegative(int64(*u.RollingUpdate.Partition), rolling.Child("partition"))...)
		}
		if most := u.RollingUpdate.MaxUnavailable; most != nil {
			at := rolling.Child("maxUnavailable")
			errs = append(errs, setrules.IntOrPercent(*most, at)...)
			if setrules.IsZero(most) {
				errs = append(errs, field.Invalid(at, *most, "cannot be 0"))
			}
		}
		return errs
	}
	return field.ErrorList{field.Invalid(path, u, fmt.Sprintf("must be '%s' or '%s'", appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType))}
}

// withClaims is the template with the volumes that its claims will be, so that containers
// may mount them.
func withClaims(s *appsv1.StatefulSetSpec) *corev1.PodTemplateSpec {
	if len(s.VolumeClaimTemplates) == 0 {
		return &s.Template
	}
	t := s.Template.DeepCopy()
	at := map[string]int{}
	for i, v := range t.Spec.Volumes {
		at[v.Name] = i
	}
	for i := range s.VolumeClaimTemplates {
		name := s.VolumeClaimTemplates[i].Name
		v := corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}}
		if place, ok := at[name]; ok {
			t.Spec.Volumes[place] = v
			continue
		}
		at[name] = len(t.Spec.Volumes)
		t.Spec.Volumes = append(t.Spec.Volumes, v)
	}
	return t
}

// validateUpdate allows few fields to change. What was stored wrong does not keep the
// rest from being changed.
func validateUpdate(s, old *appsv1.StatefulSet) field.ErrorList {
	errs := validateSpec(&s.Spec, stored{name: true, claims: true, template: len(validateSpec(&old.Spec, stored{name: true, claims: true})) > 0})
	as := s.Spec.DeepCopy()
	as.Replicas, as.Ordinals, as.Template = old.Spec.Replicas, old.Spec.Ordinals, old.Spec.Template
	as.UpdateStrategy, as.RevisionHistoryLimit = old.Spec.UpdateStrategy, old.Spec.RevisionHistoryLimit
	as.PersistentVolumeClaimRetentionPolicy, as.MinReadySeconds = old.Spec.PersistentVolumeClaimRetentionPolicy, old.Spec.MinReadySeconds
	if !equality.Semantic.DeepEqual(*as, old.Spec) {
		errs = append(errs, field.Forbidden(field.NewPath("spec"), "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"))
	}
	return errs
}

func validateStatus(set, old *appsv1.StatefulSet) field.ErrorList {
	var errs field.ErrorList
	s, path := &set.Status, field.NewPath("status")
	counts := []struct {
		name  string
		value int32
	}{
		{"replicas", s.Replicas}, {"readyReplicas", s.ReadyReplicas}, {"currentReplicas", s.CurrentReplicas},
		{"updatedReplicas", s.UpdatedReplicas}, {"availableReplicas", s.AvailableReplicas},
	}
	for _, c := range counts {
		errs = append(errs, check.NonNegative(int64(c.value), path.Child(c.name))...)
	}
	errs = append(errs, check.NonNegative(s.ObservedGeneration, path.Child("observedGeneration"))...)
	if s.CollisionCount != nil {
		errs = append(errs, check.NonNegative(int64(*s.CollisionCount), path.Child("collisionCount"))...)
	}
	for _, c := range counts[1:] {
		if c.value > s.Replicas {
			errs = append(errs, field.Invalid(path.Child(c.name), c.value, "cannot be greater than status.replicas"))
		}
	}
	if s.AvailableReplicas > s.ReadyReplicas {
		errs = append(errs, field.Invalid(path.Child("availableReplicas"), s.AvailableReplicas, "cannot be greater than status.readyReplicas"))
	}
	return append(errs, setrules.Collisions(s.CollisionCount, old.Status.CollisionCount, path.Child("collisionCount"))...)
}
