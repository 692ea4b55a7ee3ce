package containers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// mounts reports sub-paths at the list, not at the mount, as Kubernetes does.
func (r *rules) mounts(c *corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	devices, devicePaths := map[string]bool{}, map[string]bool{}
	for _, d := range c.VolumeDevices {
		devices[d.Name], devicePaths[d.DevicePath] = true, true
	}
	points := map[string]bool{}
	for i := range c.VolumeMounts {
		m, at := &c.VolumeMounts[i], path.Index(i)
		errs = append(errs, check.Required(m.Name, at.Child("name"))...)
		if r.volumes[m.Name] == nil {
			errs = append(errs, field.NotFound(at.Child("name"), m.Name))
		}
		errs = append(errs, check.Required(m.MountPath, at.Child("mountPath"))...)
		if points[m.MountPath] {
			errs = append(errs, field.Invalid(at.Child("mountPath"), m.MountPath, "must be unique"))
		}
		points[m.MountPath] = true
		if devices[m.Name] {
			errs = append(errs, field.Invalid(at.Child("name"), m.Name, "must not already exist in volumeDevices"))
		}
		if devicePaths[m.MountPath] {
			errs = append(errs, field.Invalid(at.Child("mountPath"), m.MountPath, "must not already exist as a path in volumeDevices"))
		}
		errs = append(errs, validateSubPaths(m, path, at)...)
		errs = append(errs, validatePropagation(m, c, path.Child("mountPropagation"))...)
		errs = append(errs, validateRecursiveReadOnly(m, path.Child("recursiveReadOnly"))...)
		errs = append(errs, validateBindOptions(m.BindMountOptions, at.Child("bindMountOptions"))...)
	}
	return errs
}

func validateSubPaths(m *corev1.VolumeMount, list, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if m.SubPath != "" {
		errs = append(errs, check.DescendingPath(m.SubPath, list.Child("subPath"))...)
	}
	if m.SubPathExpr != "" {
		if m.SubPath != "" {
			errs = append(errs, field.Invalid(at.Child("subPathExpr"), m.SubPathExpr, "subPathExpr and subPath are mutually exclusive"))
		}
		errs = append(errs, check.DescendingPath(m.SubPathExpr, list.Child("subPathExpr"))...)
	}
	return errs
}

func validatePropagation(m *corev1.VolumeMount, c *corev1.Container, path *field.Path) field.ErrorList {
	if m.MountPropagation == nil {
		return nil
	}
	errs := check.SupportedIfSet(path, m.MountPropagation, corev1.MountPropagationBidirectional,
		corev1.MountPropagationHostToContainer, corev1.MountPropagationNone)
	privileged := c.SecurityContext != nil && c.SecurityContext.Privileged != nil && *c.SecurityContext.Privileged
	if *m.MountPropagation == corev1.MountPropagationBidirectional && !privileged {
		errs = append(errs, field.Forbidden(path, "Bidirectional mount propagation is available only to privileged containers"))
	}
	return errs
}

func validateRecursiveReadOnly(m *corev1.VolumeMount, path *field.Path) field.ErrorList {
	if m.RecursiveReadOnly == nil || *m.RecursiveReadOnly == corev1.RecursiveReadOnlyDisabled {
		return nil
	}
	errs := check.SupportedIfSet(path, m.RecursiveReadOnly, corev1.RecursiveReadOnlyDisabled,
		corev1.RecursiveReadOnlyEnabled, corev1.RecursiveReadOnlyIfPossible)
	if len(errs) > 0 {
		return errs
	}
	if !m.ReadOnly {
		errs = append(errs, field.Forbidden(path, "may only be specified when readOnly is true"))
	}
	if m.MountPropagation != nil && *m.MountPropagation != corev1.MountPropagationNone {
		errs = append(errs, field.Forbidden(path, "may only be specified when mountPropagation is None or not specified"))
	}
	return errs
}

func validateBindOptions(options []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, option := range options {
		errs = append(errs, check.OneOf(path.Index(i), option, "noexec", "nodev", "nosuid")...)
		if seen[option] {
			errs = append(errs, field.Duplicate(path.Index(i), option))
		}
		seen[option] = true
	}
	return errs
}

func (r *rules) devices(c *corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	mounts, mountPaths := map[string]bool{}, map[string]bool{}
	for _, m := range c.VolumeMounts {
		mounts[m.Name], mountPaths[m.MountPath] = true, true
	}
	names, paths := map[string]bool{}, map[string]bool{}
	for i, d := range c.VolumeDevices {
		name, device := path.Index(i).Child("name"), path.Index(i).Child("devicePath")
		errs = append(errs, check.Required(d.Name, name)...)
		if names[d.Name] {
			errs = append(errs, field.Invalid(name, d.Name, "must be unique"))
		}
		switch volume := r.volumes[d.Name]; {
		case volume == nil:
			errs = append(errs, field.NotFound(name, d.Name))
		case volume.PersistentVolumeClaim == nil && volume.Ephemeral == nil:
			errs = append(errs, field.Invalid(name, d.Name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"))
		}
		errs = append(errs, check.Required(d.DevicePath, device)...)
		if paths[d.DevicePath] {
			errs = append(errs, field.Invalid(device, d.DevicePath, "must be unique"))
		}
		if d.DevicePath != "" && len(check.NoBacksteps(d.DevicePath, device)) > 0 {
			errs = append(errs, field.Invalid(device, d.DevicePath, "can not contain backsteps ('..')"))
		} else {
			paths[d.DevicePath] = true
		}
		if mounts[d.Name] {
			errs = append(errs, field.Invalid(name, d.Name, "must not already exist in volumeMounts"))
		}
		if mountPaths[d.DevicePath] {
			errs = append(errs, field.Invalid(device, d.DevicePath, "must not already exist as a path in volumeMounts"))
		}
		if d.Name != "" {
			names[d.Name] = true
		}
	}
	return errs
}
