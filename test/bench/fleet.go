package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/test/system"
)

const (
	namespace = metav1.NamespaceDefault
	// image is in the archive that bench.imported imports.
	image = "busybox:1.28"
	// nameVariable is set in every container, so that its process can be found
	// without the container runtime.
	nameVariable = "LATERNA_BENCH_POD"
	// sharedMap is the ConfigMap that all pods of a fleet mount.
	sharedMap = "shared"
	// mountPath is where pods of a fleet see their own ConfigMap and the shared one,
	// as the files own and shared.
	mountPath = "/etc/bench"
	podLimit  = 2 * time.Minute
)

// fleet is a system with a node on which a growing number of pods runs. Pod i
// mounts a volume of the ConfigMap pod-<i>, the ConfigMap that all share, and a
// token.
type fleet struct {
	system *system.System
	client kubernetes.Interface
	pods   int
}

// fleet returns the fleet that rows share.
func (b *bench) fleet(ctx context.Context) (*fleet, error) {
	if b.shared != nil {
		return b.shared, nil
	}
	f, err := b.newFleet(ctx)
	b.shared = f
	return f, err
}

// newFleet returns a fleet of a row's own.
func (b *bench) newFleet(ctx context.Context) (*fleet, error) {
	s, err := b.started()
	if err != nil {
		return nil, err
	}
	if err := b.imported(s); err != nil {
		return nil, err
	}
	f := &fleet{system: s}
	if f.client, err = s.Client(); err != nil {
		return nil, err
	}
	if err := awaitNode(ctx, s); err != nil {
		return nil, err
	}
	if _, err := f.client.CoreV1().ConfigMaps(namespace).Create(ctx, sequence(sharedMap, 0), metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	return f, nil
}

func podName(i int) string { return fmt.Sprintf("pod-%d", i) }

// sequence is a ConfigMap that holds a number.
func sequence(name string, n int) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"sequence": strconv.Itoa(n)}}
}

// grow creates pods at once until there are n, and returns how long it took from
// the first request until all were Running.
func (f *fleet) grow(ctx context.Context, n int) (time.Duration, error) {
	var pods []*corev1.Pod
	for ; f.pods < n; f.pods++ {
		name := podName(f.pods)
		if _, err := f.client.CoreV1().ConfigMaps(namespace).Create(ctx, sequence(name, 0), metav1.CreateOptions{}); err != nil {
			return 0, err
		}
		pods = append(pods, fleetPod(name))
	}
	if len(pods) == 0 {
		return 0, nil
	}
	return runAll(ctx, f.client, pods)
}

// plainPod is a pod with nothing but the token that every pod gets.
func plainPod(name string) *corev1.Pod {
	grace := int64(1)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{
				Name: "main", Image: image, ImagePullPolicy: corev1.PullIfNotPresent,
				Command: []string{"sh", "-c", "trap exit TERM; while :; do sleep 3600 & wait; done"},
				Env:     []corev1.EnvVar{{Name: nameVariable, Value: name}},
			}},
		},
	}
}

// fleetPod is a pod that also mounts its own ConfigMap and the shared one.
func fleetPod(name string) *corev1.Pod {
	pod := plainPod(name)
	pod.Spec.Volumes = []corev1.Volume{{Name: "bench", VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			mapSource(name, "own"), mapSource(sharedMap, "shared"),
		}},
	}}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "bench", MountPath: mountPath}}
	return pod
}

func mapSource(name, path string) corev1.VolumeProjection {
	return corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{
		LocalObjectReference: corev1.LocalObjectReference{Name: name},
		Items:                []corev1.KeyToPath{{Key: "sequence", Path: path}},
	}}
}
