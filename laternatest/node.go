package laternatest

import (
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/images"
	"laterna.dev/laterna/internal/runtime/pause"
)

// IdleImage returns the name of an image that the node has: a container of it does nothing
// until it is asked to end. It is enough where a test looks at volumes.
func (s *System) IdleImage() string {
	s.t.Helper()
	s.needNode("naming an image")
	image, err := pause.New()
	if err != nil {
		s.t.Fatalf("naming an image: %v", err)
	}
	return image.Ref
}

// ImportImages gives the node the images of an archive, as `docker save` or `make images`
// write it.
func (s *System) ImportImages(archive string) {
	s.t.Helper()
	s.needNode("importing images")
	dir, err := datadir.Locate(s.dir)
	if err != nil {
		s.t.Fatalf("importing %s: %v", archive, err)
	}
	store, err := images.Open(images.Config{
		Socket: containerd.New(containerd.Config{RunDir: dir.RunDir}).Socket(), Root: dir.Containerd(), Clock: clock.Real(), Log: s.log,
	})
	if err != nil {
		s.t.Fatalf("importing %s: %v", archive, err)
	}
	defer store.Close()
	if _, err := store.ImportFile(s.t.Context(), archive, ""); err != nil {
		s.t.Fatalf("importing %s: %v", archive, err)
	}
}

// VolumeDir returns the directory that containers of a pod see where they mount the volume
// of that name, for a test that looks at its files from outside. It is there from when the
// pod's containers run until the pod is gone.
func (s *System) VolumeDir(pod *corev1.Pod, volume string) string {
	s.t.Helper()
	s.needNode("finding a volume")
	found, err := filepath.Glob(filepath.Join(s.dir, "pods", string(pod.UID), "volumes", "*", volume))
	if err != nil || len(found) != 1 {
		s.t.Fatalf("pod %s has no volume %s on the node: %v", pod.Name, volume, err)
	}
	return found[0]
}

// needNode ends a test that asks a node for something and has none.
func (s *System) needNode(what string) {
	s.t.Helper()
	if !s.node {
		s.t.Fatalf("%s: the system has no node; start it with Config.Node", what)
	}
}
