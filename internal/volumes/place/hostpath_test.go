package place_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/volumes/fakeapi"
)

// hostPathOf is a pod with one hostPath volume v, mounted with what mount says.
func hostPathOf(b *bench, name, path, kind, mount string) *corev1.Pod {
	return b.pod(name, fmt.Sprintf(`
containers: [{name: c, image: i, volumeMounts: [{name: v, mountPath: /v%s}]}]
volumes: [{name: v, hostPath: {path: %q, type: %q}}]
`, mount, path, kind))
}

func TestHostPathTypesAreChecked(t *testing.T) {
	b, dir := newBench(t, fakeapi.New(t)), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.Mkdir(at("dir"), 0o700), os.WriteFile(at("file"), nil, 0o600), unix.Mkfifo(at("pipe"), 0o600), os.Symlink("dir", at("link")), os.Symlink("nowhere", at("dangling")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	socket, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for i, tc := range []struct{ kind, path, err string }{
		{"", at("none"), ""},
		{"", at("pipe"), ""},
		{"Directory", at("dir"), ""},
		{"Directory", at("link"), ""},
		{"Directory", at("file"), "hostPath type check failed: " + at("file") + " is not a directory"},
		{"Directory", at("none"), "hostPath type check failed: " + at("none") + " is not a directory"},
		{"DirectoryOrCreate", at("file"), "hostPath type check failed: " + at("file") + " is not a directory"},
		{"File", at("file"), ""},
		{"File", at("pipe"), "hostPath type check failed: " + at("pipe") + " is not a file"},
		{"FileOrCreate", at("dir"), "hostPath type check failed: " + at("dir") + " is not a file"},
		{"FileOrCreate", at("no/parent"), "open " + at("no") + ": no such file or directory"},
		{"FileOrCreate", at("dangling"), "open " + at("dangling") + ": no such file or directory"},
		{"Socket", at("socket"), ""},
		{"Socket", at("file"), "hostPath type check failed: " + at("file") + " is not a socket file"},
		{"CharDevice", "/dev/null", ""},
		{"CharDevice", at("file"), "hostPath type check failed: " + at("file") + " is not a character device"},
		{"BlockDevice", "/dev/null", "hostPath type check failed: /dev/null is not a block device"},
	} {
		p := hostPathOf(b, fmt.Sprint("p", i), tc.path, tc.kind, "")
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err := b.Setup(ctx, p)
		cancel()
		if (err == nil) != (tc.err == "") {
			t.Errorf("%s %s: %v, want %q", tc.kind, tc.path, err, tc.err)
			continue
		}
		if event := p.Name + ` Warning FailedMount MountVolume.SetUp failed for volume "v" : ` + tc.err; tc.err != "" && !slices.Contains(b.told(), event) {
			t.Errorf("%s %s: no event %q in %q", tc.kind, tc.path, event, b.told())
		}
		if tc.err != "" {
			continue
		}
		if all, err := b.MountsFor(p, "c"); err != nil || all[0].HostPath != tc.path || all[0].ReadOnly {
			t.Errorf("%s %s: mounts %+v, %v", tc.kind, tc.path, all, err)
		}
	}
}

func TestHostPathIsMadeAsAsked(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	b, dir := newBench(t, fakeapi.New(t)), t.TempDir()
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]string{"DirectoryOrCreate": "drwxr-xr-x 0:0", "FileOrCreate": "-rw-r--r-- 0:0"} {
		path := filepath.Join(dir, "link", kind)
		if kind == "DirectoryOrCreate" {
			path = filepath.Join(dir, "link", "parent", kind)
		}
		p := hostPathOf(b, strings.ToLower(kind), path, kind, "")
		b.setup(p)
		if got := describe(t, path); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
		b.teardown(p)
		if _, err := os.Stat(path); err != nil {
			t.Errorf("what is the node's went with the pod: %v", err)
		}
	}
}

func TestHostPathIsWaitedFor(t *testing.T) {
	b, path := newBench(t, fakeapi.New(t)), filepath.Join(t.TempDir(), "late")
	p := hostPathOf(b, "p", path, "Directory", "")
	done := make(chan error, 1)
	go func() { done <- b.Setup(t.Context(), p) }()
	eventually(t, "an event", func() bool { return len(b.told()) > 0 })
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// A container that starts later gets what the type says or nothing.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := b.MountsFor(p, "c"); err == nil || !strings.Contains(err.Error(), "hostPath type check failed") {
		t.Errorf("error %v", err)
	}
}

func TestSubPathOfHostPathStaysInside(t *testing.T) {
	b, dir := newBench(t, fakeapi.New(t)), t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "sub", "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	p := hostPathOf(b, "inside", dir, "Directory", ", subPath: sub/deep")
	b.setup(p)
	all, err := b.MountsFor(p, "c")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := inode(t, all[0].HostPath), inode(t, filepath.Join(dir, "sub", "deep")); got != want {
		t.Errorf("%s shows %v, want %v", all[0].HostPath, got, want)
	}
	for name, tc := range map[string]struct{ mount, err string }{
		"out":  {", subPath: out", `subPath "out" leads out of the volume`},
		"both": {", subPath: sub, mountPropagation: Bidirectional", "mountPropagation Bidirectional cannot be had together with subPath"},
	} {
		p := hostPathOf(b, name, dir, "", tc.mount)
		b.setup(p)
		if all, err := b.MountsFor(p, "c"); err == nil || !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
	}
}

// TestTeardownLeavesMountsOfTheNode: a bind of a shared directory gets what is mounted in
// it later, and taking that off again must not reach the node.
func TestTeardownLeavesMountsOfTheNode(t *testing.T) {
	b, dir := newBench(t, fakeapi.New(t)), t.TempDir()
	mount := func(source, target, kind string, flags uintptr) {
		t.Helper()
		if err := unix.Mount(source, target, kind, flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	mount("tmpfs", dir, "tmpfs", 0)
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	mount("", dir, "", unix.MS_SHARED)
	inner := filepath.Join(dir, "sub", "inner")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	p := hostPathOf(b, "p", dir, "", ", subPath: sub, mountPropagation: HostToContainer")
	b.setup(p)
	all, err := b.MountsFor(p, "c")
	if err != nil {
		t.Fatal(err)
	}
	mount("tmpfs", inner, "tmpfs", 0)
	t.Cleanup(func() { unix.Unmount(inner, unix.MNT_DETACH) })
	if inode(t, filepath.Join(all[0].HostPath, "inner")) != inode(t, inner) {
		t.Error("a later mount of the node does not reach the pod")
	}
	b.teardown(p)
	if left, err := mounts.Under(dir); err != nil || len(left) != 1 {
		t.Errorf("mounts of the node after the pod: %+v, %v", left, err)
	}
}
