package containers

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/podfields"
)

// ephemeralFields are the fields that an ephemeral container may have.
var ephemeralFields = map[string]bool{
	"Name": true, "Image": true, "Command": true, "Args": true, "WorkingDir": true, "EnvFrom": true, "Env": true,
	"VolumeMounts": true, "VolumeDevices": true, "TerminationMessagePath": true, "TerminationMessagePolicy": true,
	"ImagePullPolicy": true, "SecurityContext": true, "Stdin": true, "StdinOnce": true, "TTY": true,
}

func (r *rules) ephemeralContainers(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	others, names := map[string]bool{}, map[string]bool{}
	for _, c := range podfields.DeclaredContainers(r.spec) {
		others[c.Name], names[c.Name] = true, true
	}
	for i := range r.spec.EphemeralContainers {
		e, at := &r.spec.EphemeralContainers[i], path.Index(i)
		c := (*corev1.Container)(&e.EphemeralContainerCommon)
		errs = append(errs, r.common(c, at)...)
		errs = append(errs, ValidateTrimmedImage(c, at)...)
		if names[e.Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), e.Name))
		}
		names[e.Name] = true
		if e.TargetContainerName != "" && !others[e.TargetContainerName] {
			errs = append(errs, field.NotFound(at.Child("targetContainerName"), e.TargetContainerName))
		}
		errs = append(errs, forbidOtherFields(e.EphemeralContainerCommon, at)...)
		for j, m := range e.VolumeMounts {
			mount := at.Child("volumeMounts").Index(j)
			if m.SubPath != "" {
				errs = append(errs, field.Forbidden(mount.Child("subPath"), ephemeralMessage))
			}
			if m.SubPathExpr != "" {
				errs = append(errs, field.Forbidden(mount.Child("subPathExpr"), ephemeralMessage))
			}
		}
	}
	return errs
}

const ephemeralMessage = "cannot be set for an Ephemeral Container"

func forbidOtherFields(c corev1.EphemeralContainerCommon, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if ephemeralFields[f.Name] || v.Field(i).IsZero() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		errs = append(errs, field.Forbidden(path.Child(name), ephemeralMessage))
	}
	return errs
}
