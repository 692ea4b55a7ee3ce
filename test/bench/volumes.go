package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/projection"
	"laterna.dev/laterna/projection/atomicdir"
)

const (
	manyVolumes = 1000
	volumeFiles = 10
	// edge is how many volumes at the begin and the end are compared.
	edge = 100
)

// measureVolumes keeps 1,000 projected volumes in one process, each a directory with
// a token, two whole objects and the Downward API, and compares what the last ones
// cost with what the first did.
func measureVolumes(ctx context.Context, _ *bench) (figures []figure, err error) {
	base, err := os.MkdirTemp("", "laterna-bench-volumes-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(base)
	if err := unix.Mount("tmpfs", base, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return nil, fmt.Errorf("mounting tmpfs: %w", err)
	}
	defer unix.Unmount(base, unix.MNT_DETACH)
	before := heap()
	volumes := make([]*atomicdir.Dir, 0, manyVolumes)
	defer func() {
		for _, v := range volumes {
			v.Close()
		}
	}()
	var first, again durations
	for i := range manyVolumes {
		begin := time.Now()
		v, err := openVolume(ctx, filepath.Join(base, fmt.Sprint(i)))
		if err != nil {
			return nil, err
		}
		first = append(first, time.Since(begin))
		volumes = append(volumes, v)
	}
	for _, v := range volumes {
		begin := time.Now()
		if err := showVersion(ctx, v, "2"); err != nil {
			return nil, err
		}
		again = append(again, time.Since(begin))
	}
	each := float64(heap()-before) / 1024 / manyVolumes // with the timers of replaced generations
	ratio := func(d durations) float64 {
		return float64(d[len(d)-edge:].median()) / float64(d[:edge].median())
	}
	note := func(d durations) string {
		return fmt.Sprintf("%s ÷ %s ms, median of all %s ms", number(ms(d[len(d)-edge:].median())), number(ms(d[:edge].median())), number(ms(d.median())))
	}
	return []figure{
		{What: "1,000 volumes: open and first publication, last 100 ÷ first 100", Value: ratio(first), Unit: "×", Budget: 1.5, Note: note(first)},
		{What: "1,000 volumes: update, last 100 ÷ first 100", Value: ratio(again), Unit: "×", Budget: 1.5, Note: note(again)},
		{What: "1,000 volumes: heap a volume", Value: each, Unit: "KiB", Budget: 8, Note: fmt.Sprintf("%d files each, which are not kept in memory", volumeFiles)},
	}, nil
}

// heap is what is reachable on this process's heap.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func openVolume(ctx context.Context, path string) (*atomicdir.Dir, error) {
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, err
	}
	d, err := atomicdir.Open(path, atomicdir.Options{})
	if err != nil {
		return nil, err
	}
	return d, showVersion(ctx, d, "1")
}

// showVersion builds and publishes the volume as the agent does.
func showVersion(ctx context.Context, d *atomicdir.Dir, version string) error {
	items := func(kind string, n int) map[string]string {
		data := map[string]string{}
		for i := range n {
			data[fmt.Sprintf("%s-%d", kind, i)] = fmt.Sprintf("%01024s", version)
		}
		return data
	}
	pod := &corev1.Pod{}
	pod.Name, pod.Labels = "bench", map[string]string{"version": version}
	volume := &corev1.Volume{Name: "all", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
		{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}},
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "meta/labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}},
	}}}}
	tree, err := projection.Volume(pod, volume, projection.Sources{
		Token: func(projection.TokenRef) ([]byte, error) { return fmt.Appendf(nil, "%01024s", version), nil },
		Secret: func(string) (*corev1.Secret, error) {
			s := &corev1.Secret{Data: map[string][]byte{}}
			for k, v := range items("secret", 4) {
				s.Data[k] = []byte(v)
			}
			return s, nil
		},
		ConfigMap: func(string) (*corev1.ConfigMap, error) { return &corev1.ConfigMap{Data: items("config", 4)}, nil },
	})
	if err != nil {
		return err
	}
	if len(tree.Files) != volumeFiles {
		return fmt.Errorf("%d files, want %d", len(tree.Files), volumeFiles)
	}
	_, err = d.Publish(ctx, tree)
	return err
}
