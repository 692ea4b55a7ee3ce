// Package containers has the rules and defaults of containers: init containers,
// containers and ephemeral containers, with their variables, mounts, ports, probes and
// hooks. Their resources and security contexts have packages of their own beside this
// one.
package containers

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/imageref"
	"laterna.dev/laterna/internal/registry/core/podspec/resources"
	"laterna.dev/laterna/internal/registry/core/podspec/security"
)

// Validate returns what is wrong with the containers of a spec, which is at path.
// volumes are the volumes that are right, by name, and claims the names of its resource
// claims.
func Validate(spec *corev1.PodSpec, volumes map[string]*corev1.VolumeSource, claims map[string]bool, path *field.Path) field.ErrorList {
	r := rules{spec: spec, volumes: volumes, claims: claims}
	errs := r.containers(path.Child("containers"))
	errs = append(errs, r.initContainers(path.Child("initContainers"))...)
	return append(errs, r.ephemeralContainers(path.Child("ephemeralContainers"))...)
}

// rules checks the containers of one pod spec.
type rules struct {
	spec    *corev1.PodSpec
	volumes map[string]*corev1.VolumeSource
	claims  map[string]bool
}

func (r *rules) containers(path *field.Path) field.ErrorList {
	if len(r.spec.Containers) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	names := map[string]bool{}
	for i := range r.spec.Containers {
		c, at := &r.spec.Containers[i], path.Index(i)
		errs = append(errs, r.common(c, at)...)
		if names[c.Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
		}
		names[c.Name] = true
		errs = append(errs, r.running(c, at)...)
		errs = append(errs, validateContainerRestart(c, at)...)
	}
	return append(errs, validateHostPorts(r.spec.Containers, path)...)
}

func (r *rules) initContainers(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := map[string]bool{}
	for _, c := range r.spec.Containers {
		names[c.Name] = true
	}
	for i := range r.spec.InitContainers {
		c, at := &r.spec.InitContainers[i], path.Index(i)
		errs = append(errs, r.common(c, at)...)
		errs = append(errs, validateContainerRestart(c, at)...)
		if names[c.Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
		} else if c.Name != "" {
			names[c.Name] = true
		}
		// They run one after the other, so each has the host ports to itself.
		errs = append(errs, validateHostPorts([]corev1.Container{*c}, path)...)
		if IsSidecar(c) {
			errs = append(errs, r.running(c, at)...)
		} else {
			errs = append(errs, forbidRunning(c, at)...)
		}
	}
	return errs
}

// IsSidecar is true for an init container that keeps running beside the others.
func IsSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// running checks what only a container that keeps running may have.
func (r *rules) running(c *corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if c.Lifecycle != nil {
		errs = append(errs, validateLifecycle(c.Lifecycle, r.spec, path.Child("lifecycle"))...)
	}
	return append(errs, validateProbes(c, path)...)
}

func forbidRunning(c *corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct {
		set  bool
		name string
	}{
		{c.Lifecycle != nil, "lifecycle"}, {c.LivenessProbe != nil, "livenessProbe"},
		{c.ReadinessProbe != nil, "readinessProbe"}, {c.StartupProbe != nil, "startupProbe"},
	} {
		if f.set {
			errs = append(errs, field.Forbidden(path.Child(f.name), "may not be set for init containers without restartPolicy=Always"))
		}
	}
	return errs
}

// common checks what all kinds of containers share.
func (r *rules) common(c *corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if c.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	} else {
		errs = append(errs, check.DNSLabel(c.Name, path.Child("name"))...)
	}
	errs = append(errs, check.Required(c.Image, path.Child("image"))...)
	errs = append(errs, check.OneOf(path.Child("terminationMessagePolicy"), c.TerminationMessagePolicy,
		corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)...)
	errs = append(errs, validatePorts(c.Ports, path.Child("ports"))...)
	errs = append(errs, validateEnv(c.Env, r.volumes, path.Child("env"))...)
	errs = append(errs, validateEnvFrom(c.EnvFrom, path.Child("envFrom"))...)
	errs = append(errs, r.mounts(c, path.Child("volumeMounts"))...)
	errs = append(errs, r.devices(c, path.Child("volumeDevices"))...)
	errs = append(errs, imageref.ValidatePullPolicy(c.ImagePullPolicy, path.Child("imagePullPolicy"))...)
	errs = append(errs, resources.Validate(&c.Resources, resources.OfContainer, r.claims, path.Child("resources"))...)
	errs = append(errs, validateResizePolicy(c.ResizePolicy, r.spec.RestartPolicy, path.Child("resizePolicy"))...)
	return append(errs, security.ValidateContainer(c.SecurityContext, security.HostUsers(r.spec), path.Child("securityContext"))...)
}

// ValidateTrimmedImage refuses spaces around the name of an image. Templates may have
// them, since they always could.
func ValidateTrimmedImage(c *corev1.Container, path *field.Path) field.ErrorList {
	if strings.TrimSpace(c.Image) != c.Image {
		return field.ErrorList{field.Invalid(path.Child("image"), c.Image, "must not have leading or trailing whitespace")}
	}
	return nil
}
