package place

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/podfields"
)

// makeNested makes the mount points that other volumes need inside this one: once it
// is mounted read-only, the runtime cannot.
func makeNested(dir *rootfd.Dir, name string, spec *corev1.Pod) error {
	for _, point := range nested(name, spec) {
		made, err := dir.MkdirAll(point, nestedMode)
		if err != nil {
			return err
		}
		made.Close()
	}
	return nil
}

// nested returns the paths inside the volume name at which containers of the pod
// mount something else; not those inside another of these.
func nested(name string, spec *corev1.Pod) (points []string) {
	for _, c := range podfields.Containers(&spec.Spec) {
		var all []string
		for _, mount := range c.VolumeMounts {
			all = append(all, strings.TrimSuffix(path.Join("/", mount.MountPath), "/")+"/")
		}
		slices.Sort(all)
		for _, mount := range c.VolumeMounts {
			if mount.Name != name {
				continue
			}
			own := strings.TrimSuffix(path.Join("/", mount.MountPath), "/") + "/"
			last := ""
			for _, other := range all {
				inside, ok := strings.CutPrefix(other, own)
				if !ok || inside == "" || last != "" && strings.HasPrefix(other, last) {
					continue
				}
				last = other
				points = append(points, strings.TrimSuffix(inside, "/"))
			}
		}
	}
	slices.Sort(points)
	return slices.Compact(points)
}
