package podworker

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/env"
	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/projection"
)

// mostEnvFile is how large a file may be that variables are read from, in bytes.
const mostEnvFile = 1 << 20

// environment makes a container's variables from what its sources are now. pod has
// its addresses.
func (t *starter) environment(wait context.Context, pod *corev1.Pod, c *corev1.Container) ([]env.Var, error) {
	links := pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
	return env.Container(pod.Namespace, c, env.Services(pod.Namespace, links, t.deps.Services()), env.Lookups{
		ConfigMap: func(name string) (*corev1.ConfigMap, error) {
			return t.deps.Objects.ConfigMap(wait, pod.Namespace, name)
		},
		Secret: func(name string) (*corev1.Secret, error) {
			return t.deps.Objects.Secret(wait, pod.Namespace, name)
		},
		File: func(ref *corev1.FileKeySelector) ([]byte, error) {
			return t.deps.Volumes.ReadFile(pod.UID, ref.VolumeName, ref.Path, mostEnvFile)
		},
		Field: func(ref *corev1.ObjectFieldSelector) (string, error) { return projection.FieldRef(pod, ref) },
		Resource: func(ref *corev1.ResourceFieldSelector) (string, error) {
			return projection.ResourceFieldRef(pod, c.Name, ref, t.deps.Node.Allocatable())
		},
	})
}

// watchObjects wakes the worker as soon as an object changes that the container's
// environment could not be made from.
func (t *starter) watchObjects(pod *corev1.Pod, c *corev1.Container) {
	state := t.container(c.Name)
	if len(state.release) > 0 {
		return
	}
	seen := map[objects.Key]bool{}
	watch := func(kind objects.Kind, name string) {
		key := objects.Key{Kind: kind, Namespace: pod.Namespace, Name: name}
		if !seen[key] {
			seen[key] = true
			state.release = append(state.release, t.deps.Objects.Acquire(key, t.board.poke))
		}
	}
	for _, f := range c.EnvFrom {
		switch {
		case f.ConfigMapRef != nil:
			watch(objects.ConfigMap, f.ConfigMapRef.Name)
		case f.SecretRef != nil:
			watch(objects.Secret, f.SecretRef.Name)
		}
	}
	for _, e := range c.Env {
		switch {
		case e.ValueFrom == nil:
		case e.ValueFrom.ConfigMapKeyRef != nil:
			watch(objects.ConfigMap, e.ValueFrom.ConfigMapKeyRef.Name)
		case e.ValueFrom.SecretKeyRef != nil:
			watch(objects.Secret, e.ValueFrom.SecretKeyRef.Name)
		}
	}
}

// readsFiles reports whether a container has a variable from a file of a volume.
func readsFiles(c *corev1.Container) bool {
	return slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.ValueFrom != nil && e.ValueFrom.FileKeyRef != nil })
}
