package podworker

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/env"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/freshpath"
)

// resolveSubPaths is the pod with the container's subPathExpr made subPath: each
// variable must have a value, and the result must stay in the volume.
func resolveSubPaths(pod *corev1.Pod, c *corev1.Container, vars []env.Var) (*corev1.Pod, error) {
	has := func(m corev1.VolumeMount) bool { return m.SubPathExpr != "" }
	if !slices.ContainsFunc(c.VolumeMounts, has) {
		return pod, nil
	}
	mounts := slices.Clone(c.VolumeMounts)
	for j := range mounts {
		if !has(mounts[j]) {
			continue
		}
		at, err := env.ExpandAll(mounts[j].SubPathExpr, vars)
		if err != nil {
			return nil, err
		}
		if path.IsAbs(at) {
			return nil, fmt.Errorf("error SubPath `%s` must not be an absolute path", at)
		}
		if slices.Contains(strings.Split(at, "/"), "..") {
			return nil, fmt.Errorf("unable to provision SubPath `%s`: must not contain '..'", at)
		}
		mounts[j].SubPath, mounts[j].SubPathExpr = at, ""
	}
	resolved := *c
	resolved.VolumeMounts = mounts
	return lifecycle.With(pod, &resolved), nil
}

// followSubPaths looks once at each container that runs: what was published between
// the making of its mounts and now, or while no agent ran, is in it then. It returns
// the pause before a container must be tried again.
func (w *Worker) followSubPaths(ctx context.Context, pod *corev1.Pod) (pause time.Duration) {
	if !freshpath.Follows(pod) {
		w.followed = nil
		return 0
	}
	followed := map[string]bool{}
	for _, c := range w.rt().Containers {
		if c.State != cri.ContainerRunning {
			continue
		}
		followed[c.ID] = w.followed[c.ID] || w.deps.SubPaths.Started(ctx, pod, freshpath.Container{ID: c.ID, Name: c.Name})
		if !followed[c.ID] {
			pause = again
		}
	}
	w.followed = followed
	return pause
}
