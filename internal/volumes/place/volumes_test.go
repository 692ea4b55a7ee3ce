package place_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/volumes/fakeapi"
)

func describe(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		return err.Error()
	}
	s := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%v %d:%d", info.Mode(), s.Uid, s.Gid)
}

func TestContentOfEveryKind(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.Secret("ns", "s", "user", "bob"))
	api.Put(fakeapi.ConfigMap("ns", "c", "conf", "text"))
	for _, tc := range []struct{ volume, path, want string }{
		{"secret: {secretName: s}", "kubernetes.io~secret/v/user", "bob"},
		{"configMap: {name: c, items: [{key: conf, path: a/b}]}", "kubernetes.io~configmap/v/a/b", "text"},
		{"downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}", "kubernetes.io~downward-api/v/name", "p"},
		{"projected: {sources: [{serviceAccountToken: {path: token}}]}", "kubernetes.io~projected/v/token", "token-1"},
		{"downwardAPI: {items: [{path: cpu, resourceFieldRef: {containerName: c, resource: limits.cpu}}]}", "kubernetes.io~downward-api/v/cpu", "4"},
	} {
		t.Run(tc.volume, func(t *testing.T) {
			b := newBench(t, api)
			p := b.pod("p", one(tc.volume))
			b.setup(p)
			b.setup(p) // again
			path := filepath.Join(b.root, "uid-p/volumes", tc.path)
			if got := read(path); got != tc.want {
				t.Errorf("%s = %q, want %q", path, got, tc.want)
			}
			under, err := mounts.Under(b.root)
			if err != nil || len(under) != 1 || under[0].Type != "tmpfs" || !strings.HasPrefix(path, under[0].Point) {
				t.Errorf("mounts %v, %v", under, err)
			}
			if got := describe(t, b.mount(p)); got != "dtrwxrwxrwx 0:0" {
				t.Errorf("volume's directory: %s", got)
			}
			all, err := b.MountsFor(p, "c")
			if err != nil || len(all) != 1 || !all[0].ReadOnly || all[0].ContainerPath != "/v" || all[0].Propagation != corev1.MountPropagationNone {
				t.Errorf("%+v, %v", all, err)
			}
			if events := b.told(); len(events) > 0 {
				t.Errorf("events %q", events)
			}
			info, err := os.Stat(filepath.Join(b.root, "uid-p"))
			if err != nil || info.Mode() != os.ModeDir|0o700 {
				t.Errorf("pod directory %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestChangesReachTheFile(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.Secret("ns", "s", "a", "1"))
	b := newBench(t, api)
	p := b.pod("p", `
containers: [{name: c, volumeMounts: [{name: v, mountPath: /v}]}]
volumes:
- name: v
  projected:
    sources:
    - secret: {name: s}
    - configMap: {name: c, optional: true}
    - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}`)
	b.setup(p)
	dir := b.mount(p)
	has := func(name, want string) {
		t.Helper()
		eventually(t, name+" = "+want, func() bool { return strings.Contains(read(dir, name), want) })
	}
	api.Put(fakeapi.Secret("ns", "s", "a", "2", "b", "3"))
	has("a", "2")
	has("b", "3")
	api.Put(fakeapi.Secret("ns", "s", "a", "2"))
	has("b", "no such file")
	api.Put(fakeapi.ConfigMap("ns", "c", "opt", "here"))
	has("opt", "here")
	api.Delete("configmaps", "ns", "c")
	has("opt", "no such file")
	newer := p.DeepCopy()
	newer.Labels = map[string]string{"x": "y"}
	b.Sync(newer)
	has("labels", `x="y"`)

	api.Delete("secrets", "ns", "s") // not optional: the old files stay
	eventually(t, "an event", func() bool { return len(b.told()) > 0 })
	if got, want := b.told()[0], `p Warning FailedMount MountVolume.SetUp failed for volume "v" : secret "s" not found`; got != want {
		t.Errorf("event %q, want %q", got, want)
	}
	has("a", "2")
	api.Put(fakeapi.Secret("ns", "s", "a", "back"))
	has("a", "back")
}

func TestSetupWaitsForWhatIsMissing(t *testing.T) {
	for _, tc := range []struct {
		name, volume, event string
		mend                func(*fakeapi.Server)
	}{
		{"secret", "secret: {secretName: s}", `MountVolume.SetUp failed for volume "v" : secret "s" not found`,
			func(api *fakeapi.Server) { api.Put(fakeapi.Secret("ns", "s", "k", "1")) }},
		{"key", "configMap: {name: c, items: [{key: want, path: k}]}", `MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: want`,
			func(api *fakeapi.Server) { api.Put(fakeapi.ConfigMap("ns", "c", "want", "1")) }},
		{"all of several", "projected: {sources: [{secret: {name: s}}, {configMap: {name: none}}]}", `MountVolume.SetUp failed for volume "v" : [secret "s" not found, configmap "none" not found]`,
			func(api *fakeapi.Server) {
				api.Put(fakeapi.ConfigMap("ns", "none", "x", "y"))
				api.Put(fakeapi.Secret("ns", "s", "k", "1"))
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			api := fakeapi.New(t)
			api.Put(fakeapi.ConfigMap("ns", "c", "other", "1"))
			b := newBench(t, api)
			p := b.pod("p", one(tc.volume))
			done := make(chan error, 1)
			go func() { done <- b.Setup(t.Context(), p) }()
			eventually(t, "an event", func() bool { return len(b.told()) > 0 })
			if got := b.told()[0]; got != "p Warning FailedMount "+tc.event {
				t.Errorf("event %q", got)
			}
			if _, err := b.MountsFor(p, "c"); err == nil || !strings.Contains(err.Error(), `volume "v" is not ready`) {
				t.Errorf("mounts of a volume that is not ready: %v", err)
			}
			time.Sleep(1200 * time.Millisecond) // 0 s, 0.5 s, then 1.5 s
			if n := len(b.told()); n != 2 {
				t.Errorf("%d events in 1.2 s", n)
			}
			began := time.Now()
			tc.mend(api)
			select {
			case err := <-done:
				t.Logf("went on after %v", time.Since(began))
				if err != nil {
					t.Error(err)
				}
			case <-time.After(250 * time.Millisecond): // milliseconds on a quiet machine
				t.Error("did not go on")
			}
			if got := read(b.mount(p), "k"); got != "1" {
				t.Errorf("k = %q", got)
			}
		})
	}
}

func TestSetupEndsWithItsContext(t *testing.T) {
	b := newBench(t, fakeapi.New(t))
	p := b.pod("p", one("secret: {secretName: s}"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := b.Setup(ctx, p)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `volume "v" (secret "s" not found)`) {
		t.Errorf("error %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- b.Setup(t.Context(), p) }()
	time.Sleep(20 * time.Millisecond)
	b.teardown(p)
	if err := <-done; err == nil || !strings.Contains(err.Error(), "torn down") {
		t.Errorf("error %v", err)
	}
}

func TestUnsupportedVolumes(t *testing.T) {
	for volume, want := range map[string]string{
		"nfs: {server: s, path: /}":             "spec.volumes[0].nfs: volumes of this kind are not supported",
		"persistentVolumeClaim: {claimName: x}": "spec.volumes[0].persistentVolumeClaim: ",
		"emptyDir: {medium: HugePages}":         `spec.volumes[0].emptyDir.medium: "HugePages" is not supported`,
		"projected: {sources: [{secret: {name: s}}, {podCertificate: {signerName: a/b}}]}": "spec.volumes[0].projected.sources[1].podCertificate: ",
		"configMap: {name: c, items: [{key: k, path: ../x}]}":                              `must not contain '..'`,
	} {
		api := fakeapi.New(t)
		api.Put(fakeapi.ConfigMap("ns", "c", "k", "v"))
		b := newBench(t, api)
		p := b.pod("p", one(volume))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if err := b.Setup(ctx, p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", volume, err)
		}
		cancel()
		if events := b.told(); len(events) != 1 || !strings.Contains(events[0], want) {
			t.Errorf("%s: events %q", volume, events)
		}
	}
}

func TestOwners(t *testing.T) {
	for _, tc := range []struct{ security, token, plain, dir string }{
		{"{}", "-rw-r--r-- 0:0", "-r-------- 0:0", "dtrwxrwxrwx 0:0"},
		{"{runAsUser: 1000}", "-rw------- 1000:0", "-r-------- 0:0", "dtrwxrwxrwx 0:0"},
		{"{fsGroup: 10000}", "-rw-r----- 0:10000", "-r--r----- 0:10000", "dgtrwxrwxrwx 0:10000"},
		{"{runAsUser: 1000, fsGroup: 10000}", "-rw-r----- 1000:10000", "-r--r----- 0:10000", "dgtrwxrwxrwx 0:10000"},
	} {
		api := fakeapi.New(t)
		api.Put(fakeapi.Secret("ns", "s", "k", "v"))
		b := newBench(t, api)
		p := b.pod("p", "{securityContext: "+tc.security+", containers: [{name: c, volumeMounts: [{name: v, mountPath: /v}]}], "+
			"volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: token}}, {secret: {name: s, items: [{key: k, path: d/plain, mode: 0400}]}}]}}]}")
		b.setup(p)
		dir := b.mount(p)
		for path, want := range map[string]string{"..data/token": tc.token, "..data/d/plain": tc.plain, "": tc.dir} {
			if got := describe(t, filepath.Join(dir, path)); got != want {
				t.Errorf("%s: %s is %s, want %s", tc.security, path, got, want)
			}
		}
		if strings.Contains(tc.security, "fsGroup") {
			if got := describe(t, filepath.Join(dir, "..data/d")); got != "dgrwxr-xr-x 0:10000" {
				t.Errorf("directory of a group: %s", got)
			}
		}
	}
}

func TestEmptyDir(t *testing.T) {
	b := newBench(t, fakeapi.New(t))
	p := b.pod("p", `
securityContext: {fsGroup: 5000}
containers:
- name: c
  resources: {limits: {memory: 8Mi}}
  volumeMounts: [{name: disk, mountPath: /disk}, {name: memory, mountPath: /memory, readOnly: true}, {name: inside, mountPath: /disk/a/b}]
volumes:
- {name: disk, emptyDir: {}}
- {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
- {name: inside, emptyDir: {medium: Memory}}`)
	b.setup(p)
	all, err := b.MountsFor(p, "c")
	if err != nil {
		t.Fatal(err)
	}
	disk, memory, inside := all[0].HostPath, all[1].HostPath, all[2].HostPath
	if all[0].ReadOnly || !all[1].ReadOnly {
		t.Errorf("%+v", all)
	}
	for path, want := range map[string]string{disk: "dgrwxrwxrwx 0:5000", memory: "dgtrwxrwxrwx 0:5000", filepath.Join(disk, "a/b"): "dgrwxr-xr-x 0:5000"} {
		if got := describe(t, path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	for path, size := range map[string]int{memory: 1 << 20, inside: 8 << 20} {
		if err := os.WriteFile(path+"/f", make([]byte, size-8192), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(path+"/f", make([]byte, size+1), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s is larger than %d: %v", path, size, err)
		}
	}
	if err := errors.Join(os.WriteFile(disk+"/kept", nil, 0o600), os.Chmod(disk, 0o700)); err != nil {
		t.Fatal(err)
	}

	// The next process changes nothing of what the pod did.
	b.restart()
	b.Adopt([]*corev1.Pod{p})
	b.setup(p)
	if got := describe(t, disk); got != "drwx------ 0:5000" {
		t.Errorf("after the restart: %s", got)
	}
	if _, err := os.Stat(disk + "/kept"); err != nil {
		t.Error(err)
	}
}

func TestSubPath(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.ConfigMap("ns", "c", "conf", "1"))
	b := newBench(t, api)
	p := b.pod("p", `
containers:
- name: c
  volumeMounts: [{name: v, mountPath: /etc/one, subPath: conf}, {name: e, mountPath: /e, subPath: made/here}, {name: v, mountPath: /d, subPath: none}, {name: v, mountPath: /w, subPath: ./}]
volumes: [{name: v, configMap: {name: c}}, {name: e, emptyDir: {}}]`)
	b.setup(p)
	all, err := b.MountsFor(p, "c")
	if err != nil {
		t.Fatal(err)
	}
	file := all[0].HostPath
	if got := read(file); got != "1" || !all[0].ReadOnly || all[1].ReadOnly {
		t.Errorf("%q, %+v", got, all)
	}
	if got := describe(t, all[1].HostPath); got != "drwxrwxrwx 0:0" {
		t.Errorf("made: %s", got)
	}
	if info, err := os.Stat(all[2].HostPath); err != nil || !info.IsDir() {
		t.Errorf("a missing subPath: %v, %v", info, err)
	}

	if target, err := os.Readlink(all[3].HostPath + "/conf"); err != nil || target != "..data/conf" {
		t.Errorf("the volume itself as subPath: %q, %v", target, err)
	}

	held, err := os.Open(file) // the container's own mount
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	whole := filepath.Join(b.root, "uid-p/volumes/kubernetes.io~configmap/v/conf")
	api.Put(fakeapi.ConfigMap("ns", "c", "conf", "2"))
	eventually(t, "the change", func() bool { return read(whole) == "2" })
	time.Sleep(2200 * time.Millisecond) // beyond the life of the replaced generation
	if got := read(file); got != "1" {
		t.Errorf("a running container's file became %q", got)
	}
	if all, err = b.MountsFor(p, "c"); err != nil || read(all[0].HostPath) != "2" {
		t.Errorf("a new start: %v, %v", all, err)
	}
	if got := read(fmt.Sprintf("/proc/self/fd/%d", held.Fd())); got != "1" {
		t.Errorf("the container before has %q", got)
	}
}

func TestSubPathCannotLeadOut(t *testing.T) {
	b := newBench(t, fakeapi.New(t))
	outside := t.TempDir()
	p := b.pod("p", "{containers: [{name: c, volumeMounts: [{name: e, mountPath: /e, subPath: x}]}], volumes: [{name: e, emptyDir: {}}]}")
	b.setup(p)
	inside := filepath.Join(b.root, "uid-p/volumes/kubernetes.io~empty-dir/e")
	for link, subPath := range map[string]string{outside: "a", "../../../../..": "b", "/proc/self/root": "c", "..": "d/volumes", "/": "e/etc"} {
		if err := os.Symlink(link, filepath.Join(inside, subPath[:1])); err != nil {
			t.Fatal(err)
		}
		p.Spec.Containers[0].VolumeMounts[0].SubPath = subPath
		all, err := b.MountsFor(p, "c")
		if want := fmt.Sprintf("volumeMounts[0] of container c: subPath %q leads out of the volume", subPath); err == nil || err.Error() != want {
			t.Errorf("%s -> %s: %+v, %v; want %s", subPath, link, all, err, want)
		}
	}
	for _, subPath := range []string{"../x", "/etc", "a/../../b", ".."} {
		p.Spec.Containers[0].VolumeMounts[0].SubPath = subPath
		if all, err := b.MountsFor(p, "c"); err == nil {
			t.Errorf("%s: %+v", subPath, all)
		}
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 0 {
		t.Errorf("outside: %v", entries)
	}
}

func TestMountsForErrors(t *testing.T) {
	b := newBench(t, fakeapi.New(t))
	p := b.pod("p", "{containers: [{name: c, volumeMounts: [{name: none, mountPath: /x}]}, {name: d, volumeMounts: [{name: e, mountPath: /x, subPathExpr: $(A)}]}, {name: bare}], volumes: [{name: e, emptyDir: {}}]}")
	if _, err := b.MountsFor(p, "c"); err == nil || !strings.Contains(err.Error(), "not set up") {
		t.Errorf("before: %v", err)
	}
	if all, err := b.MountsFor(p, "bare"); err != nil || len(all) != 0 {
		t.Errorf("a container without mounts: %v, %v", all, err)
	}
	b.setup(p)
	for container, want := range map[string]string{"c": `volumeMounts[0] of container c: the pod has no volume "none"`, "d": `subPathExpr "$(A)" is not expanded`, "x": "container x not found"} {
		if _, err := b.MountsFor(p, container); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", container, err)
		}
	}
}

func TestNestedMountPoints(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.ConfigMap("ns", "c", "conf", "1", "sub", "hidden"))
	b := newBench(t, api)
	p := b.pod("p", `
containers:
- name: c
  volumeMounts: [{name: v, mountPath: /etc/x/}, {name: e, mountPath: /etc/x/sub}, {name: e, mountPath: /etc/x/sub/deeper}, {name: e, mountPath: /etc/x/sub-other}]
volumes: [{name: v, configMap: {name: c}}, {name: e, emptyDir: {}}]`)
	b.setup(p)
	dir := filepath.Join(b.root, "uid-p/volumes/kubernetes.io~configmap/v")
	for name, want := range map[string]string{"sub": "drwxr-xr-x 0:0", "sub-other": "drwxr-xr-x 0:0", "sub/deeper": "no such file"} {
		if got := describe(t, filepath.Join(dir, name)); !strings.HasSuffix(strings.TrimSuffix(got, " or directory"), want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := read(dir, "conf"); got != "1" {
		t.Errorf("conf = %q", got)
	}
}

// TestMountPointsOfSubPaths holds that a file gets a file as its mount point, in the part
// of the outer volume that the container sees.
func TestMountPointsOfSubPaths(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.ConfigMap("ns", "m", "f", "1", "d", "2"))
	b := newBench(t, api)
	p := b.pod("p", `{volumes: [{name: e, emptyDir: {}}, {name: m, configMap: {name: m}}, {name: k, configMap: {name: m}}], containers: [
		{name: c, volumeMounts: [{name: e, mountPath: /w}, {name: m, mountPath: /w/deep/f, subPath: f}, {name: m, mountPath: /w/all}]},
		{name: part, volumeMounts: [{name: e, mountPath: /w, subPath: s, readOnly: true}, {name: m, mountPath: /w/g, subPath: f}, {name: m, mountPath: /w/all2}]},
		{name: shown, volumeMounts: [{name: k, mountPath: /w}, {name: m, mountPath: /w/new, subPath: f}]},
		{name: over, volumeMounts: [{name: k, mountPath: /w}, {name: m, mountPath: /w/d, subPath: f}]},
	]}`)
	b.setup(p)
	for _, c := range []string{"c", "part", "shown"} {
		if _, err := b.MountsFor(p, c); err != nil {
			t.Errorf("container %s: %v", c, err)
		}
	}
	volumes := filepath.Join(b.PodDir(p.UID), "volumes")
	for at, dir := range map[string]bool{
		"kubernetes.io~empty-dir/e/deep/f": false, "kubernetes.io~empty-dir/e/all": true,
		"kubernetes.io~empty-dir/e/s/g": false, "kubernetes.io~empty-dir/e/s/all2": true, "kubernetes.io~configmap/k/new": false,
	} {
		if st, err := os.Stat(filepath.Join(volumes, at)); err != nil || st.IsDir() != dir {
			t.Errorf("%s: %v, %v", at, st, err)
		}
	}
	for _, none := range []string{"g", "all2"} {
		if _, err := os.Lstat(filepath.Join(volumes, "kubernetes.io~empty-dir/e", none)); err == nil {
			t.Errorf("%s was made outside of the part that is mounted", none)
		}
	}
	const want = `volumeMounts[1] of container over: it cannot be mounted at /w/d inside volume "k", which shows something there that its updates replace; mount it elsewhere`
	if _, err := b.MountsFor(p, "over"); err == nil || err.Error() != want {
		t.Errorf("over a file that is shown: %v", err)
	}
}

// TestModeOfEmptyDir holds for the volume and for the directories that subPaths make.
func TestModeOfEmptyDir(t *testing.T) {
	b := newBench(t, fakeapi.New(t))
	p := b.pod("p", `{containers: [{name: c, volumeMounts: [{name: shared, mountPath: /a, subPath: s}]}],
		volumes: [{name: disk, emptyDir: {mode: 0750}}, {name: sticky, emptyDir: {mode: 01777}}, {name: memory, emptyDir: {medium: Memory, mode: 0700}}, {name: shared, emptyDir: {medium: Memory}}]}`)
	b.setup(p)
	check := func(when string, want map[string]string) {
		t.Helper()
		for name, mode := range want {
			got := describe(t, filepath.Join(b.PodDir(p.UID), "volumes/kubernetes.io~empty-dir", name))
			if !strings.HasPrefix(got, mode+" ") {
				t.Errorf("%s, %s: %s, want %s", when, name, got, mode)
			}
		}
	}
	check("new", map[string]string{"disk": "drwxr-x---", "sticky": "dtrwxrwxrwx", "memory": "drwx------"})
	disk := filepath.Join(b.PodDir(p.UID), "volumes/kubernetes.io~empty-dir/disk")
	if err := os.Chmod(disk, 0o701); err != nil {
		t.Fatal(err)
	}
	b.restart()
	b.Adopt([]*corev1.Pod{p})
	b.setup(p)
	if _, err := b.MountsFor(p, "c"); err != nil {
		t.Fatal(err)
	}
	check("adopted", map[string]string{"disk": "drwx-----x", "shared/s": "dtrwxrwxrwx"})
}
