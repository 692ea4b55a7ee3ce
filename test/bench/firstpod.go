package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/test/system"
)

// measureFirstPod takes starts on a data directory that has nothing but the
// runtime's images, and creates a pod as soon as a stranger sees the system ready.
func measureFirstPod(ctx context.Context, b *bench) ([]figure, error) {
	s, err := b.started()
	if err != nil {
		return nil, err
	}
	if err := b.imported(s); err != nil {
		return nil, err
	}
	var times, ready durations
	for range b.memoryRounds() {
		if err := b.emptied(s); err != nil {
			return nil, err
		}
		start, err := launch(ctx, s)
		if err != nil {
			return nil, err
		}
		client, err := s.Client()
		if err != nil {
			return nil, err
		}
		if _, err := runAll(ctx, client, []*corev1.Pod{tokenPod()}); err != nil {
			return nil, fmt.Errorf("%w: %s", err, lastLines(s.Log()))
		}
		times, ready = append(times, time.Since(start.begin)), append(ready, start.seen)
	}
	f := times.figure("process start → first pod with a projected token Running", 1500*time.Millisecond)
	f.Note += fmt.Sprintf("; ready after %s ms; containerd starts too, images are there", number(ms(ready.median())))
	return []figure{f}, b.remove(s)
}

// tokenPod is a pod with a projected volume of a token of its own audience.
func tokenPod() *corev1.Pod {
	pod := plainPod("first")
	pod.Spec.Volumes = []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{
			ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: "bench", Path: "token"},
		}}},
	}}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "token", MountPath: mountPath}}
	return pod
}

// formatFile tells a data directory from any other.
const formatFile = "version"

// emptied stops a system with its containers and its containerd and removes all
// that it knows, but not the images.
func (b *bench) emptied(s *system.System) error {
	out, err := exec.Command(b.programs.Path("laterna"), "down", "--grace-period=0s", "--data-dir", s.Dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("laterna down: %w: %s", err, out)
	}
	dir, err := datadir.Locate(s.Dir)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir.Path)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		path := filepath.Join(dir.Path, e.Name())
		if path != dir.Containerd() && e.Name() != formatFile {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}
