// Package runtimetest starts a real managed containerd for a test and cleans up all of
// it afterwards. It is imported by tests only.
package runtimetest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/runtime/images"
	"laterna.dev/laterna/internal/runtime/pause"
)

// Machine is a node without an agent.
type Machine struct {
	Dir    datadir.Dir
	Daemon *containerd.Daemon
	Info   containerd.Info
	Images *images.Store
	CRI    *cri.Client
}

// Config is the configuration of a daemon for a data directory.
func Config(t testing.TB, dir datadir.Dir) containerd.Config {
	t.Helper()
	img, err := pause.New()
	if err != nil {
		t.Fatal(err)
	}
	return containerd.Config{
		Root: dir.Containerd(), RunDir: dir.RunDir, HostName: dir.HostName(),
		SandboxImage: img.Ref, CNIConfDir: filepath.Join(dir.Path, "cni"),
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Clock: clock.Real(),
	}
}

// Dir makes a data directory that is removed, with what runs on it, after the test.
func Dir(t testing.TB) datadir.Dir {
	t.Helper()
	dir, err := datadir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := containerd.New(Config(t, dir)).Stop(ctx, 0); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
		if err := os.RemoveAll(dir.RunDir); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	return dir
}

// Start starts a containerd with the sandbox image and busybox, whose name is
// docker.io/library/busybox:test. It has no pod network.
func Start(t testing.TB, dir datadir.Dir) *Machine {
	t.Helper()
	return StartOn(t, dir, Config(t, dir).CNIConfDir)
}

// StartOn is Start with a CNI configuration.
func StartOn(t testing.TB, dir datadir.Dir, cniConfDir string) *Machine {
	t.Helper()
	ctx := t.Context()
	cfg := Config(t, dir)
	cfg.CNIConfDir = cniConfDir
	m := &Machine{Dir: dir, Daemon: containerd.New(cfg)}
	var err error
	if m.Info, err = m.Daemon.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if m.Images, err = images.Open(images.Config{Socket: m.Info.Socket, Root: cfg.Root, Clock: clock.Real(), Log: cfg.Log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Images.Close() })
	if m.CRI, err = cri.Dial(m.Info.Socket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.CRI.Close() })
	if _, err := m.Images.EnsurePause(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Images.ImportFile(ctx, Archive(t, "busybox:test"), ""); err != nil {
		t.Fatal(err)
	}
	return m
}

// Run starts a pod of one busybox container and returns the ids of sandbox and
// container.
func (m *Machine) Run(t testing.TB, name string, hostNetwork bool, command ...string) (sandbox, container string) {
	t.Helper()
	return m.run(t, name, t.TempDir(), hostNetwork, cri.ContainerSpec{UserImage: "busybox:test", Command: command})
}

// RunImage starts a pod of one container of any image on the host's network and returns
// the path of its log. Without a command the image's own runs.
func (m *Machine) RunImage(t testing.TB, name, image string, command []string, env []cri.EnvVar) (log string) {
	t.Helper()
	dir := t.TempDir()
	m.run(t, name, dir, true, cri.ContainerSpec{UserImage: image, Command: command, Env: env})
	return filepath.Join(dir, logName)
}

const logName = "main.log"

// Sandbox starts a pod without containers on the host's network.
func (m *Machine) Sandbox(t testing.TB, name string) string {
	t.Helper()
	id, _ := m.sandbox(t, name, t.TempDir(), true)
	return id
}

func (m *Machine) sandbox(t testing.TB, name, logDir string, hostNetwork bool) (string, *cri.SandboxSpec) {
	t.Helper()
	h, err := cgroups.Detect()
	if err != nil {
		t.Fatal(err)
	}
	pod := &cri.SandboxSpec{
		Name: name, Namespace: "default", UID: "uid-" + name, LogDir: logDir,
		CgroupParent: h.Pod(m.Dir.HostName(), "uid-"+name), Namespaces: cri.Namespaces{HostNetwork: hostNetwork},
	}
	id, err := m.CRI.RunSandbox(t.Context(), pod)
	if err != nil {
		t.Fatal(err)
	}
	return id, pod
}

func (m *Machine) run(t testing.TB, name, logDir string, hostNetwork bool, spec cri.ContainerSpec) (sandbox, container string) {
	t.Helper()
	sandbox, pod := m.sandbox(t, name, logDir, hostNetwork)
	img, err := m.CRI.ImageStatus(t.Context(), spec.UserImage)
	if err != nil || img == nil {
		t.Fatalf("image %s: %v, %v", spec.UserImage, img, err)
	}
	spec.Name, spec.ImageRef, spec.LogPath, spec.Security.Namespaces = "main", img.ID, logName, pod.Namespaces
	if container, err = m.CRI.CreateContainer(t.Context(), sandbox, &spec, pod); err != nil {
		t.Fatal(err)
	}
	if err := m.CRI.StartContainer(t.Context(), container); err != nil {
		t.Fatal(err)
	}
	return sandbox, container
}

// Archive writes a docker archive with the machine's static busybox under the given
// names and returns its path. With no name the image in it has none.
func Archive(t testing.TB, names ...string) string {
	t.Helper()
	path := containerd.LookPath("busybox")
	if path == "" {
		t.Fatal("busybox is missing (install with: apt-get install busybox-static)")
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	layer := tarOf(t, []tar.Header{
		{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))},
		{Name: "bin/sh", Typeflag: tar.TypeSymlink, Linkname: "busybox"},
		{Name: "bin/sleep", Typeflag: tar.TypeSymlink, Linkname: "busybox"},
		{Name: "bin/wget", Typeflag: tar.TypeSymlink, Linkname: "busybox"},
		{Name: "bin/nc", Typeflag: tar.TypeSymlink, Linkname: "busybox"},
		{Name: "bin/ip", Typeflag: tar.TypeSymlink, Linkname: "busybox"},
		{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
	}, map[string][]byte{"bin/busybox": program})
	sum := sha256.Sum256(layer)
	config := jsonOf(t, map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Env": []string{"PATH=/bin"}, "Cmd": []string{"sh"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
	})
	manifest := jsonOf(t, []map[string]any{{"Config": "config.json", "RepoTags": names, "Layers": []string{"layer.tar"}}})
	content := map[string][]byte{"config.json": config, "manifest.json": manifest, "layer.tar": layer}
	var headers []tar.Header
	for _, name := range []string{"config.json", "layer.tar", "manifest.json"} {
		headers = append(headers, tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content[name]))})
	}
	out := filepath.Join(t.TempDir(), "busybox.tar")
	if err := os.WriteFile(out, tarOf(t, headers, content), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

func tarOf(t testing.TB, headers []tar.Header, content map[string][]byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content[h.Name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
