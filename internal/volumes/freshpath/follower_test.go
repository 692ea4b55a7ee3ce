package freshpath

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/host/rootfd"
)

// settings are what must not change with the file.
func settings(m mounts.Mount) string { return fmt.Sprint(m.Parent, m.Options, m.Propagation) }

func TestFileFollowsWithTheSettingsOfItsMount(t *testing.T) {
	for name, flags := range map[string]uintptr{
		"as runc mounts":   0,
		"all restrictions": unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_NOSYMFOLLOW,
		"strictatime":      unix.MS_STRICTATIME | unix.MS_NOEXEC,
		"unbindable":       unix.MS_UNBINDABLE,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, volumeV(oneFile), "file", "value 0", "other", "x")
			box := b.contain(flags)
			before := box.at("/etc/file")
			for n := range 8 {
				b.put("file", fmt.Sprint("value ", n+1), "other", "x")
				b.fresh()
				if got := box.read("/etc/file"); got != fmt.Sprint("value ", n+1) {
					t.Fatalf("update %d: %q; events %q", n+1, got, b.told())
				}
			}
			after := box.at("/etc/file")
			if len(before) != 1 || len(after) != 1 || settings(before[0]) != settings(after[0]) {
				t.Errorf("before %+v\nafter %+v", before, after)
			}
			if told := b.told(); len(told) > 0 {
				t.Errorf("events %q", told)
			}
		})
	}
}

func TestSharedMountFollowsAndStaysShared(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "file", "value 0")
	box := b.contain(unix.MS_SHARED)
	b.put("file", "value 1")
	b.fresh()
	at := box.at("/etc/file")
	if got := box.read("/etc/file"); got != "value 1" || len(at) != 1 || len(at[0].Propagation) != 1 || !strings.HasPrefix(at[0].Propagation[0], "shared:") {
		t.Errorf("%q, %+v, events %q", got, at, b.told())
	}
}

func TestNoInstantWithoutTheFile(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "file", "value")
	box := b.contain(0)
	box.do(0, "watch", "/etc/file")
	tree := []string{"value a", "value b"}
	for n := range 200 {
		b.swap(tree[n%2])
		b.fresh()
	}
	a := box.do(0, "stop")
	if a.Out != "" || a.Reads < 200 {
		t.Errorf("%d reads, faults:\n%s", a.Reads, a.Out)
	}
	if got := box.read("/etc/file"); got != "value b" || len(b.told()) > 0 {
		t.Errorf("%q, events %q", got, b.told())
	}
}

// swap publishes beside the manager, which keeps replaced generations for seconds: a
// new directory and a new ..data link.
func (b *bench) swap(value string) {
	b.t.Helper()
	content, err := b.vols.Content(b.pod.UID, "v")
	if err != nil {
		b.t.Fatal(err)
	}
	content.Close()
	dir := b.root + "/uid/volumes/kubernetes.io~configmap/v"
	made, err := os.MkdirTemp(dir, "..2026_")
	if err != nil {
		b.t.Fatal(err)
	}
	old, err := os.Readlink(dir + "/..data")
	for _, step := range []func() error{
		func() error { return err },
		func() error { return os.WriteFile(made+"/file", []byte(value), 0o644) },
		func() error { return os.Symlink(made[len(dir)+1:], dir+"/..data_tmp") },
		func() error { return os.Rename(dir+"/..data_tmp", dir+"/..data") },
		func() error { return os.RemoveAll(dir + "/" + old) },
	} {
		if err := step(); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestDirectoryFollows(t *testing.T) {
	b := newBench(t, `{containers: [{name: c, volumeMounts: [{name: v, mountPath: /conf, subPath: sub/dir}]}],
		volumes: [{name: v, configMap: {name: cm, items: [{key: a, path: sub/dir/a}, {key: b, path: sub/dir/b}]}}]}`, "a", "1", "b", "2")
	box := b.contain(0)
	for _, want := range []string{"3", "4"} {
		b.put("a", want, "b", "2")
		b.fresh()
		if got := box.do(0, "list", "/conf").Out; got != "a b " || box.read("/conf/a") != want {
			t.Errorf("%q, a = %q, events %q", got, box.read("/conf/a"), b.told())
		}
	}
	if at := box.at("/conf"); len(at) != 1 {
		t.Errorf("mounts %+v", at)
	}
}

func TestSameFileIsLeftAlone(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "file", "value", "other", "1")
	box := b.contain(0)
	before := box.at("/etc/file")
	b.put("file", "value", "other", "2")
	b.fresh()
	if after := box.at("/etc/file"); len(after) != 1 || after[0].ID != before[0].ID {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	b.put("file", "VALUE", "other", "2")
	b.fresh()
	if after := box.at("/etc/file"); len(after) != 1 || after[0].ID == before[0].ID || box.read("/etc/file") != "VALUE" {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
}

func TestFileThatGoesStaysAndFollowsWhenItIsBack(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "file", "value 0", "other", "x")
	box := b.contain(0)
	for n := range 3 {
		b.put("other", fmt.Sprint(n))
		b.fresh()
		if got := box.read("/etc/file"); got != "value 0" {
			t.Fatalf("gone: %q", got)
		}
	}
	want := []string{`Warning SubPathNotUpdated volume "v" in container c: /etc/file keeps its old content: the volume has no "file" any more`}
	if told := b.told(); !slices.Equal(told, want) {
		t.Errorf("events %q, want %q", told, want)
	}
	b.put("file", "value 1")
	b.fresh()
	if got := box.read("/etc/file"); got != "value 1" || len(b.told()) != 1 {
		t.Errorf("back: %q, events %q", got, b.told())
	}
}

func TestMissingFileThatAppearsNeedsARestart(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "other", "x")
	b.contain(0)
	b.put("file", "value 1")
	b.fresh()
	want := "it is a file in the volume now and was a directory; restart the container to see it"
	if told := b.told(); len(told) != 1 || !strings.Contains(told[0], want) {
		t.Errorf("events %q", told)
	}
	b.contain(0) // the restarted one
	if got := b.box.read("/etc/file"); got != "value 1" {
		t.Errorf("after the restart: %q", got)
	}
}

func TestEveryMountOfAVolumeFollows(t *testing.T) {
	b := newBench(t, volumeV("[{name: v, mountPath: /etc/file, subPath: file}, {name: v, mountPath: /a b/c, subPath: file}, {name: v, mountPath: /whole}]"), "file", "value 0")
	box := b.contain(0)
	b.put("file", "value 1")
	b.fresh()
	for _, path := range []string{"/etc/file", "/a b/c", "/whole/file"} {
		if got := box.read(path); got != "value 1" {
			t.Errorf("%s: %q; events %q", path, got, b.told())
		}
	}
}

func TestWithoutTheAnnotationNothingFollows(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "file", "value 0")
	box := b.contain(0)
	for _, value := range []string{"false", ""} {
		b.pod.Annotations["laterna.dev/subpath-updates"] = value
		b.put("file", "value 1"+value)
		b.fresh()
		b.Started(t.Context(), b.pod, Container{ID: "id", Name: "c"})
		if got := box.read("/etc/file"); got != "value 0" {
			t.Errorf("%q: %q", value, got)
		}
	}
	b.pod.Annotations["laterna.dev/subpath-updates"] = "true"
	b.Started(t.Context(), b.pod, Container{ID: "id", Name: "c"}) // as a new process of the agent does
	if got := box.read("/etc/file"); got != "value 1" {
		t.Errorf("taken over: %q", got)
	}
}

func TestRestartedContainerAndNodesBindAreFresh(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "file", "value 0")
	b.contain(0)
	b.put("file", "value 1")
	b.fresh()
	under, err := mounts.Under(b.root + "/uid/volume-subpaths")
	if err != nil || len(under) != 1 {
		t.Fatalf("%+v, %v", under, err)
	}
	if data, err := os.ReadFile(under[0].Point); err != nil || string(data) != "value 1" {
		t.Errorf("the node's bind: %q, %v", data, err)
	}
}

func TestKernelsWithoutItAreToldOnce(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "file", "value 0")
	b.able = func() error { return rootfd.ErrNoBeneath }
	box := b.contain(0)
	for n := range 3 {
		b.put("file", fmt.Sprint("value ", n+1))
		b.fresh()
	}
	if got := box.read("/etc/file"); got != "value 0" {
		t.Errorf("%q", got)
	}
	want := []string{"Warning SubPathNotUpdated subPath mounts cannot be updated on this node: " + rootfd.ErrNoBeneath.Error()}
	if told := b.told(); !slices.Equal(told, want) {
		t.Errorf("events %q", told)
	}
}

func TestNothingGrows(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "file", "value")
	box := b.contain(0)
	count := func() [4]int {
		own, _ := mounts.Under("/")
		fds, _ := os.ReadDir("/proc/self/fd")
		tasks, _ := os.ReadDir("/proc/self/task")
		return [4]int{len(own), len(box.mounts()), len(fds), len(tasks)}
	}
	var before [4]int
	began := time.Now()
	for n := range 500 {
		b.swap(fmt.Sprint("value ", n))
		b.fresh()
		if n == 99 {
			before = count()
		}
	}
	t.Logf("%v an update with a publication; own mounts, container's mounts, handles, threads: %v", time.Since(began)/500, before)
	if got := box.read("/etc/file"); got != "value 499" {
		t.Errorf("%q; events %q", got, b.told())
	}
	grew := func(now [4]int) bool {
		return slices.ContainsFunc([]int{0, 1, 2, 3}, func(i int) bool { return now[i] > before[i]+3 })
	}
	// The threads of the last calls end on their own, each with two handles.
	after := count()
	for deadline := time.Now().Add(10 * time.Second); grew(after) && time.Now().Before(deadline); after = count() {
		time.Sleep(10 * time.Millisecond)
	}
	if grew(after) {
		t.Errorf("after 100 updates %v, after 500 and a pause %v", before, after)
	}
}

// TestWithSharedMounts repeats what depends on the machine's propagation where all
// mounts are shared, as systemd makes them.
func TestWithSharedMounts(t *testing.T) {
	cmd := inNamespace("shared", "-test.v", "-test.timeout=60s", "-test.run=^(TestFileFollows|TestDirectoryFollows|TestNoInstant|TestSharedMount|TestRestarted|TestNothingGrows)")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "\n--- PASS: Test") != 6 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAttributesOf(t *testing.T) {
	for _, tc := range []struct {
		m    mounts.Mount
		want rootfd.Attributes
	}{
		{mounts.Mount{Options: []string{"rw", "relatime"}}, rootfd.Attributes{Propagation: unix.MS_PRIVATE}},
		{mounts.Mount{Options: []string{"ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"}, Propagation: []string{"master:3"}}, rootfd.Attributes{
			Flags: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOATIME | unix.MOUNT_ATTR_NODIRATIME | unix.MOUNT_ATTR_NOSYMFOLLOW, Propagation: unix.MS_SLAVE}},
		{mounts.Mount{Options: []string{"ro"}, Propagation: []string{"shared:1", "master:3"}}, rootfd.Attributes{Flags: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_STRICTATIME, Propagation: unix.MS_SHARED}},
	} {
		if got, err := attributesOf(tc.m); err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%+v: %+v, %v", tc.m, got, err)
		}
	}
	if _, err := attributesOf(mounts.Mount{Options: []string{"ro", "idmapped"}}); err == nil {
		t.Error("a setting that is not known got lost")
	}
}

func TestEqual(t *testing.T) {
	long := strings.Repeat("x", 40<<10)
	for _, tc := range []struct {
		a, b string
		want bool
	}{{"", "", true}, {"a", "a", true}, {"a", "b", false}, {"a", "", false}, {long, long, true}, {long, long + "y", false}, {long[:16<<10], long[:32<<10], false}, {long[:16<<10], long[:16<<10], true}} {
		if got, err := equal(strings.NewReader(tc.a), strings.NewReader(tc.b)); got != tc.want || err != nil {
			t.Errorf("%d, %d bytes: %v, %v", len(tc.a), len(tc.b), got, err)
		}
	}
}
