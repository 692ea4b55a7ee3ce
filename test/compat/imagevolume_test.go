package compat

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/images"
)

// importImage gives the node an image of the test's own: busybox with more files, which
// everybody may run, and with the entrypoint and arguments of a configuration.
func (s *system) importImage(t testing.TB, tag string, files map[string]string, config v1.Config) {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: file, Mode: 0o755, Size: int64(len(files[file]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[file]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	added, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(filepath.Join(imageDir, "busybox-1.28.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if image, err = mutate.AppendLayers(image, added); err != nil {
		t.Fatal(err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.Env = file.Config.Env
	if image, err = mutate.Config(image, config); err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.WriteToFile(archive, ref, image); err != nil {
		t.Fatal(err)
	}
	s.sh(t, programs.Path("laterna")+" image import --data-dir "+s.Dir+" "+archive)
}

// kitten is an image whose files are a volume.
const kitten = "volume.example/kitten:1"

func kittenFiles() map[string]string {
	return map[string]string{"data.json": `{"picture":"kitten.jpg"}`, "etc/os-release": "NAME=Kitten\n", "run.sh": "#!/bin/sh\necho it runs\n"}
}

func TestConformanceImageVolumes(t *testing.T) {
	s := newStage(t)
	s.importImage(t, kitten, kittenFiles(), v1.Config{})
	s.conforms(t, "[sig-node] ImageVolume should succeed with pod and pull policy of Always", func(t *testing.T) {
		pod := probed(s.name("pod"), forever)
		mount(pod, "/volume", corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: kitten, PullPolicy: corev1.PullAlways}})
		pod = s.runs(t, pod)
		out, err := s.inside(t, pod, "cat /volume/data.json /volume/etc/os-release && ls /volume/bin/busybox")
		if want := `{"picture":"kitten.jpg"}` + "NAME=Kitten\n/volume/bin/busybox\n"; err != nil || out != want {
			t.Errorf("the volume shows %q, want %q, %v", out, want, err)
		}
	})
}

// views are the images whose files the system holds for volumes.
func (s *system) views(t testing.TB) []string {
	t.Helper()
	dir, err := datadir.Locate(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	store, err := images.Open(images.Config{
		Socket: containerd.New(containerd.Config{RunDir: dir.RunDir}).Socket(), Root: dir.Containerd(), Clock: clock.Real(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	held, err := store.Views().List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(held))
}

const kittenPods = `
apiVersion: v1
kind: Pod
metadata: {name: whole}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {fsGroup: 4000}
  initContainers:
  - name: first
    image: busybox:1.28
    command: [sh, -c, "exec 2>&1; /v/run.sh; touch /v/new; stat -c %g /v/data.json"]
    volumeMounts: [{name: v, mountPath: /v}]
  containers:
  - name: main
    image: busybox:1.28
    command: [sh, -c, "cat /v/data.json; echo; until [ -e /end ]; do sleep 0.1; done"]
    volumeMounts: [{name: v, mountPath: /v}]
  - name: part
    image: busybox:1.28
    command: [sleep, "3600"]
    securityContext: {privileged: true}
    volumeMounts: [{name: v, mountPath: /part, subPath: etc}, {name: v, mountPath: /file, subPath: data.json}]
  volumes: [{name: v, image: {reference: "volume.example/kitten:1"}}]
---
apiVersion: v1
kind: Pod
metadata: {name: lacking}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1.28
    command: [sleep, "3600"]
    volumeMounts: [{name: v, mountPath: /v, subPath: not/there}]
  - name: without
    image: busybox:1.28
    command: [sleep, "3600"]
  volumes: [{name: v, image: {reference: "volume.example/kitten:1"}}]
---
apiVersion: v1
kind: Pod
metadata: {name: absent}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1.28
    command: [sleep, "3600"]
    volumeMounts: [{name: v, mountPath: /v}]
  - name: without
    image: busybox:1.28
    command: [sleep, "3600"]
  volumes: [{name: v, image: {reference: "volume.example/absent:1", pullPolicy: Never}}]
`

// TestImageVolumesOutliveTheirImage mounts an image whole and in parts, removes it and
// restarts and kills laterna: containers read on, a restarted one too, and what was held
// of the image is gone with the pod.
func TestImageVolumesOutliveTheirImage(t *testing.T) {
	t.Parallel()
	s := started(t)
	s.importImage(t, kitten, kittenFiles(), v1.Config{})
	s.apply(t, "default", kittenPods)
	s.running(t, "default", "whole")
	if out := s.sh(t, "kubectl logs whole -c first"); out != "it runs\ntouch: /v/new: Read-only file system\n0\n" {
		t.Errorf("the init container prints %q", out)
	}
	if out := s.sh(t, "kubectl exec whole -c part -- sh -c 'cat /part/os-release /file; mount -o remount,rw /part 2>/dev/null; touch /part/new 2>&1'; true"); !strings.HasPrefix(out, "NAME=Kitten\n"+`{"picture":"kitten.jpg"}touch: /part/new: Read-only file system`) {
		t.Errorf("the parts are %q", out)
	}
	contains(t, s.waits(t, "default", "lacking", 20*time.Second, "CreateContainerError"), `ImageVolumeMountFailed: the image volume.example/kitten:1 has no file or directory "not/there"`)
	contains(t, s.waits(t, "default", "absent", 20*time.Second, "ErrImageNeverPull"), `Container image "volume.example/absent:1" is not present with pull policy of Never`)
	contains(t, s.sh(t, "kubectl describe pod absent"), "ErrImageNeverPull")
	for _, pod := range []string{"lacking", "absent"} {
		if got := s.field(t, "default", "pod/"+pod, "{.status.containerStatuses[1].ready}"); got != "true" {
			t.Errorf("%s: the container without the volume is ready: %s", pod, got)
		}
	}
	if held := s.views(t); len(held) != 2 {
		t.Errorf("held: %q", held)
	}

	s.sh(t, "kubectl delete pod lacking absent --grace-period=0 --force --timeout=30s && "+programs.Path("laterna")+" image rm --data-dir "+s.Dir+" "+kitten)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.sh(t, "kubectl exec whole -c main -- touch /end")
	s.sh(t, "kubectl wait pod/whole --for=jsonpath='{.status.containerStatuses[0].restartCount}'=1 --timeout=40s")
	s.running(t, "default", "whole")
	eventually(t, 10*time.Second, func() error {
		if out := s.sh(t, "kubectl logs whole -c main"); out != `{"picture":"kitten.jpg"}`+"\n" {
			return fmt.Errorf("the restarted container prints %q", out)
		}
		return nil
	})

	s.Kill()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if out := s.sh(t, "kubectl exec whole -c main -- cat /v/data.json"); out != `{"picture":"kitten.jpg"}` {
		t.Errorf("after a kill the volume shows %q", out)
	}
	s.sh(t, "kubectl delete pod whole --timeout=30s")
	eventually(t, 10*time.Second, func() error {
		if held := s.views(t); len(held) != 0 {
			return fmt.Errorf("held without a pod: %q", held)
		}
		return nil
	})
}

// TestImageVolumesArePulledWithThePodsLogin has a registry that asks for one.
func TestImageVolumesArePulledWithThePodsLogin(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	r := shared.newRegistry(t)
	image := r.push(t, "volumes/app:1")
	shared.login(t, ns, "right", r, registryPassword)
	const pod = `
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 0
%s  containers:
  - name: main
    image: busybox:1.28
    command: [sh, -c, "ls /v/bin/busybox; sleep 3600"]
    volumeMounts: [{name: v, mountPath: /v}]
  volumes: [{name: v, image: {reference: %q}}]
`
	shared.apply(t, ns, fmt.Sprintf(pod, "without", "", image))
	contains(t, shared.waits(t, ns, "without", 30*time.Second, "ImagePullBackOff"), fmt.Sprintf("Back-off pulling image %q: ErrImagePull: ", image), "401")
	shared.apply(t, ns, fmt.Sprintf(pod, "with", "  imagePullSecrets: [{name: right}]\n", image))
	shared.running(t, ns, "with")
	if out := shared.sh(t, "kubectl logs -n "+ns+" with"); out != "/v/bin/busybox\n" {
		t.Errorf("the volume shows %q", out)
	}
	events := shared.eventsOf(t, ns, "with")
	contains(t, events, fmt.Sprintf("Normal Pulled : Successfully pulled image %q in ", image))
	if strings.Contains(events, registryPassword) {
		t.Errorf("the password is in Events:\n%s", events)
	}
}
