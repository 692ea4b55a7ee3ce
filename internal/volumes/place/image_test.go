package place_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/place"
)

// layers are two directories of an image, the upper one first, on a file system that can
// be below an overlay.
func layers(t *testing.T) func() ([]string, error) {
	t.Helper()
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(root, unix.MNT_DETACH) })
	for path, content := range map[string]string{"upper/both": "upper", "lower/both": "lower", "lower/dir/file": "lower"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc", filepath.Join(root, "upper", "out")); err != nil {
		t.Fatal(err)
	}
	return func() ([]string, error) {
		return []string{filepath.Join(root, "upper"), filepath.Join(root, "lower")}, nil
	}
}

func TestImageVolumes(t *testing.T) {
	b, image := newBench(t, fakeapi.New(t)), layers(t)
	pod := b.pod("images", `
containers:
- {name: whole, image: i, volumeMounts: [{name: v, mountPath: /v}, {name: e, mountPath: /v/dir}]}
- {name: part, image: i, volumeMounts: [{name: v, mountPath: /f, subPath: dir/file}, {name: v, mountPath: /d, subPath: dir}]}
- {name: lacking, image: i, volumeMounts: [{name: v, mountPath: /v, subPath: dir/none}]}
- {name: out, image: i, volumeMounts: [{name: v, mountPath: /v, subPath: out/hostname}]}
- {name: nested, image: i, volumeMounts: [{name: v, mountPath: /v}, {name: e, mountPath: /v/none}]}
volumes: [{name: v, image: {reference: "r:1"}}, {name: e, emptyDir: {}}]
`)
	if err := b.Setup(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	mountsOf := func(container string) []place.Mount {
		t.Helper()
		got, err := b.MountsFor(pod, container)
		if err != nil {
			t.Fatalf("%s: %v", container, err)
		}
		return got
	}
	read := func(path string) string {
		content, err := os.ReadFile(path)
		if err != nil {
			return err.Error()
		}
		return string(content)
	}
	if mounted, err := b.ImageMounted(pod.UID, "v"); mounted || err != nil {
		t.Errorf("mounted before there is an image: %v, %v", mounted, err)
	}
	if _, err := b.MountsFor(pod, "whole"); err == nil || !strings.Contains(err.Error(), "the image is not mounted") {
		t.Errorf("a container without the image: %v", err)
	}
	broken := errors.New("no layers")
	if err := b.MountImage(pod.UID, "v", func() ([]string, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("mounting: %v", err)
	}
	if err := b.MountImage(pod.UID, "e", image); err == nil || !strings.Contains(err.Error(), `no image volume "e"`) {
		t.Errorf("mounting an emptyDir: %v", err)
	}
	for range 2 { // what is mounted stays
		if err := b.MountImage(pod.UID, "v", image); err != nil {
			t.Fatal(err)
		}
		image = func() ([]string, error) { return nil, broken }
	}
	whole := mountsOf("whole")
	if m := whole[0]; !m.ReadOnly || read(filepath.Join(m.HostPath, "both")) != "upper" || read(filepath.Join(m.HostPath, "dir/file")) != "lower" {
		t.Errorf("the whole image: %+v", m)
	}
	part := mountsOf("part")
	if !part[0].ReadOnly || read(part[0].HostPath) != "lower" || !part[1].ReadOnly || read(filepath.Join(part[1].HostPath, "file")) != "lower" {
		t.Errorf("parts of the image: %+v", part)
	}
	for container, want := range map[string]string{
		"lacking": `ImageVolumeMountFailed: the image r:1 has no file or directory "dir/none" (subPath)`,
		"out":     `subPath "out/hostname" leads out of the volume`,
		"nested":  "inside volume \"v\", which is read-only and has nothing there",
	} {
		if _, err := b.MountsFor(pod, container); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", container, err, want)
		}
	}

	// Another process finds the image as it is.
	b.restart()
	b.Adopt([]*corev1.Pod{pod})
	if err := b.Setup(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if mounted, err := b.ImageMounted(pod.UID, "v"); !mounted || err != nil {
		t.Errorf("after a restart: mounted %v, %v", mounted, err)
	}
	if got := read(filepath.Join(mountsOf("whole")[0].HostPath, "both")); got != "upper" {
		t.Errorf("after a restart it shows %q", got)
	}
}
