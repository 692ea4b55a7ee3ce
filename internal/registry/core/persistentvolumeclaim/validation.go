package persistentvolumeclaim

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

var accessModes = []corev1.PersistentVolumeAccessMode{
	corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod,
}

// ValidateSpec returns what is wrong with the spec of a claim, or of a template of
// claims.
func ValidateSpec(s *corev1.PersistentVolumeClaimSpec, path *field.Path) field.ErrorList {
	errs := ValidateModes(s.AccessModes, "at least 1 access mode is required", path.Child("accessModes"))
	if s.Selector != nil {
		errs = append(errs, metavalidation.ValidateLabelSelector(s.Selector, metavalidation.LabelSelectorValidationOptions{}, path.Child("selector"))...)
	}
	storage := path.Child("resources").Key(string(corev1.ResourceStorage))
	if size, ok := s.Resources.Requests[corev1.ResourceStorage]; !ok {
		errs = append(errs, field.Required(storage, ""))
	} else if size.Sign() <= 0 {
		errs = append(errs, field.Invalid(storage, size.String(), "must be greater than zero"))
	}
	named := func(name *string, path *field.Path) {
		if name != nil && *name != "" {
			errs = append(errs, check.Subdomain(*name, path)...)
		}
	}
	named(s.StorageClassName, path.Child("storageClassName"))
	errs = append(errs, check.SupportedIfSet(path.Child("volumeMode"), s.VolumeMode, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	errs = append(errs, validateSources(s, path)...)
	named(s.VolumeAttributesClassName, path.Child("volumeAttributesClassName"))
	return errs
}

// ValidateModes returns what is wrong with the ways in which a volume is used, or may be;
// without is what is said where there is none.
func ValidateModes(modes []corev1.PersistentVolumeAccessMode, without string, path *field.Path) field.ErrorList {
	if len(modes) == 0 {
		return field.ErrorList{field.Required(path, without)}
	}
	var errs field.ErrorList
	for _, m := range modes {
		if !slices.Contains(accessModes, m) {
			errs = append(errs, field.NotSupported(path, m, accessModes))
		}
	}
	alone := func(m corev1.PersistentVolumeAccessMode) bool { return m == corev1.ReadWriteOncePod }
	together := func(m corev1.PersistentVolumeAccessMode) bool { return !alone(m) && slices.Contains(accessModes, m) }
	if slices.ContainsFunc(modes, alone) && slices.ContainsFunc(modes, together) {
		errs = append(errs, field.Forbidden(path, "may not use ReadWriteOncePod with other access modes"))
	}
	return errs
}

// validateSources checks what a volume is to be filled with.
func validateSources(s *corev1.PersistentVolumeClaimSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	reference := func(group *string, kind, name string, path *field.Path) {
		errs = append(errs, check.Required(name, path.Child("name"))...)
		errs = append(errs, check.Required(kind, path.Child("kind"))...)
		if group == nil || *group == "" {
			if kind != "PersistentVolumeClaim" {
				errs = append(errs, field.Invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
			}
		} else {
			errs = append(errs, check.Subdomain(*group, path.Child("apiGroup"))...)
		}
	}
	from, ref := s.DataSource, s.DataSourceRef
	if from != nil {
		reference(from.APIGroup, from.Kind, from.Name, path.Child("dataSource"))
	}
	if ref != nil {
		at := path.Child("dataSourceRef")
		reference(ref.APIGroup, ref.Kind, ref.Name, at)
		if ref.Namespace != nil && *ref.Namespace != "" {
			errs = append(errs, check.Messages(apivalidation.ValidateNamespaceName(*ref.Namespace, false), *ref.Namespace, at.Child("namespace"))...)
		}
	}
	switch {
	case from == nil || ref == nil:
	case ref.Namespace != nil && *ref.Namespace != "":
		errs = append(errs, field.Invalid(path, path.Child("dataSource").String(), "may not be specified when dataSourceRef.namespace is specified"))
	case !equality.Semantic.DeepEqual(*from, corev1.TypedLocalObjectReference{APIGroup: ref.APIGroup, Kind: ref.Kind, Name: ref.Name}):
		errs = append(errs, field.Invalid(path, path.Child("dataSource").String(), "must match dataSourceRef"))
	}
	return errs
}

// validateUpdate keeps a claim as it is, but for what grows when it is bound and for the
// volume that somebody binds it to.
func validateUpdate(c, old *corev1.PersistentVolumeClaim) field.ErrorList {
	spec := field.NewPath("spec")
	errs := ValidateSpec(&c.Spec, spec)
	changed, before := c.Spec.DeepCopy(), old.Spec.DeepCopy()
	if before.VolumeName == "" {
		before.VolumeName = changed.VolumeName
	}
	if c.Status.Phase == corev1.ClaimBound {
		if changed.Resources.Requests != nil {
			changed.Resources.Requests[corev1.ResourceStorage] = before.Resources.Requests[corev1.ResourceStorage]
		}
		changed.VolumeAttributesClassName = before.VolumeAttributesClassName
	}
	if !equality.Semantic.DeepEqual(changed, before) {
		errs = append(errs, field.Forbidden(spec, fmt.Sprintf("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n%v", diff.Diff(before, changed))))
	}
	now, was := c.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	has, known := old.Status.Capacity[corev1.ResourceStorage]
	if now.Cmp(was) < 0 && (!known || now.Cmp(has) <= 0) {
		errs = append(errs, field.Forbidden(spec.Child("resources", "requests", "storage"), "field can not be less than status.capacity"))
	}
	return append(errs, apivalidation.ValidateImmutableField(c.Spec.VolumeMode, old.Spec.VolumeMode, field.NewPath("volumeMode"))...)
}

func validateStatus(c *corev1.PersistentVolumeClaim) field.ErrorList {
	var errs field.ErrorList
	if len(c.Spec.AccessModes) == 0 {
		errs = append(errs, field.Required(field.NewPath("spec", "accessModes"), ""))
	}
	amounts := func(list corev1.ResourceList, path *field.Path) {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			if q := list[name]; q.Cmp(resource.Quantity{}) < 0 {
				errs = append(errs, field.Invalid(path.Key(string(name)), q.String(), "must be greater than or equal to 0"))
			}
		}
	}
	status := field.NewPath("status")
	amounts(c.Status.Capacity, status.Child("capacity"))
	amounts(c.Status.AllocatedResources, status.Child("allocatedResources"))
	return errs
}
