package freshpath

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/host/procfs"
)

// shape is a mount table without what differs from one mount of the same to the next.
func shape(all []mounts.Mount) (lines []string) {
	for _, m := range all {
		lines = append(lines, fmt.Sprint(m.Device, " ", m.Point, " ", m.Options, " ", m.Type))
	}
	slices.Sort(lines)
	return lines
}

func ownMounts(t *testing.T) []string {
	t.Helper()
	all, err := mounts.Under("/")
	if err != nil {
		t.Fatal(err)
	}
	return shape(all)
}

func TestHostileContainers(t *testing.T) {
	const follows = ""
	for name, tc := range map[string]struct {
		do   func(x *box)
		want string // part of the Event; follows is none
		at   string // where the file is then
	}{
		"mounts over it": {func(x *box) {
			x.do(0, "touch", "/bait")
			x.do(unix.MS_BIND, "mount", "/bait", "/etc/file", "")
		}, "the container has moved it or mounted over it", ""},
		"mounts over its directory": {func(x *box) {
			x.do(0, "mount", "none", "/etc", "tmpfs")
			x.do(0, "touch", "/etc/file")
		}, "the container has moved it or mounted over it", ""},
		"unmounts it": {func(x *box) { x.do(unix.MNT_DETACH, "unmount", "/etc/file") }, follows, ""},
		"unmounts it and mounts another there": {func(x *box) {
			x.do(unix.MNT_DETACH, "unmount", "/etc/file")
			x.do(0, "mkdir", "/bait")
			x.do(0, "mount", "none", "/bait", "tmpfs")
			x.do(0, "touch", "/bait/file")
			x.do(unix.MS_BIND, "mount", "/bait/file", "/etc/file", "")
		}, follows, ""},
		"moves it": {func(x *box) {
			x.do(0, "touch", "/elsewhere")
			x.do(unix.MS_MOVE, "mount", "/etc/file", "/elsewhere", "")
		}, follows, "/elsewhere"},
		"renames its directory and puts a link there": {func(x *box) {
			x.do(0, "rename", "/etc", "/moved")
			x.do(0, "symlink", "/proc", "/etc")
		}, follows, "/moved/file"},
		"binds it twice": {func(x *box) {
			x.do(0, "touch", "/twice")
			x.do(unix.MS_BIND, "mount", "/etc/file", "/twice", "")
		}, follows, "/twice"},
		"changes its own root": {func(x *box) { x.do(0, "chroot", "/jail") }, follows, ""},
		"shares its mounts":    {func(x *box) { x.do(unix.MS_REC|unix.MS_SHARED, "mount", "", "/", "") }, follows, "/etc/file"},
		"hides proc": {func(x *box) {
			x.do(unix.MNT_DETACH, "unmount", "/proc")
			x.do(0, "rename", "/proc", "/gone")
			x.do(0, "symlink", "/etc", "/proc")
		}, follows, "/etc/file"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, volumeV(oneFile), "file", "value 0")
			box := b.contain(0)
			tc.do(box)
			host := ownMounts(t)
			inside := shape(box.mounts())
			b.put("file", "value 1")
			b.fresh()
			if after := ownMounts(t); !slices.Equal(after, host) {
				t.Errorf("the machine's mounts:\nbefore %q\nafter  %q", host, after)
			}
			if after := shape(box.mounts()); !slices.Equal(after, inside) {
				t.Errorf("the container's mounts:\nbefore %q\nafter  %q", inside, after)
			}
			told := b.told()
			if tc.want == follows && len(told) > 0 || tc.want != follows && (len(told) != 1 || !strings.Contains(told[0], tc.want)) {
				t.Errorf("events %q, want %q", told, tc.want)
			}
			if tc.at != "" && box.read(tc.at) != "value 1" {
				t.Errorf("%s: %q", tc.at, box.read(tc.at))
			}
		})
	}
}

func TestDirectoryWithAnotherMountInsideStays(t *testing.T) {
	b := newBench(t, `{containers: [{name: c, volumeMounts: [{name: v, mountPath: /conf, subPath: sub}]}],
		volumes: [{name: v, configMap: {name: cm, items: [{key: a, path: sub/a}]}}]}`, "a", "1")
	box := b.contain(0)
	box.do(0, "touch", "/inner")
	box.do(unix.MS_BIND, "mount", "/inner", "/conf/a", "")
	b.put("a", "2")
	b.fresh()
	told := b.told()
	if len(told) != 1 || !strings.Contains(told[0], "/conf is not updated, and its files will disappear with the old state of the volume: something else is mounted on it, at /conf/a") || len(box.at("/conf/a")) != 1 {
		t.Errorf("events %q, mounts %+v", told, box.at("/conf/a"))
	}
}

// TestFightOverTheMount lets a container move, cover and unmount the mount and rename
// the way to it while updates come: each ends, and nothing reaches the machine.
func TestFightOverTheMount(t *testing.T) {
	b := newBench(t, volumeV("[{name: v, mountPath: /etc/file, subPath: file}, {name: v, mountPath: /calm/file, subPath: file}]"), "file", "value")
	box := b.contain(0)
	box.do(0, "touch", "/bait")
	host := ownMounts(t)
	box.do(0, "fight", "/etc", "/bait")
	for n := range 300 {
		b.swap(fmt.Sprint("value ", n))
		b.fresh()
	}
	box.do(0, "stop")
	if after := ownMounts(t); !slices.Equal(after, host) {
		t.Errorf("the machine's mounts:\nbefore %q\nafter  %q", host, after)
	}
	if got := box.read("/calm/file"); got != "value 299" || len(box.at("/calm/file")) != 1 {
		t.Errorf("the mount beside: %q, %+v; events %q", got, box.at("/calm/file"), b.told())
	}
	for end := time.Now().Add(5 * time.Second); len(elsewhere(t)) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) { // the last one may be on its way out
			t.Fatalf("threads stayed in the container: %v", elsewhere(t))
		}
	}
}

// elsewhere are the threads of this process in other mount namespaces.
func elsewhere(t *testing.T) (threads []string) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if ns, err := os.Readlink("/proc/self/task/" + task.Name() + "/ns/mnt"); err == nil && ns != own {
			threads = append(threads, task.Name())
		}
	}
	return threads
}

func TestTheMachinesNamespaceIsRefused(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "file", "value 0")
	b.contain(0)
	outside := exec.Command("sleep", "1000") // e.g. a container that entered it
	if err := outside.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { outside.Process.Kill(); outside.Wait() }()
	held, err := procfs.Hold(outside.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if ns, err := enter(held.Descriptor()); err == nil || !strings.Contains(err.Error(), "the machine's own mount namespace") {
		t.Errorf("%v, %v", ns, err)
	}
}

// TestNamespaceOfAUserNamespace has the container's process move into a user namespace
// of its own, where its mounts are locked.
func TestNamespaceOfAUserNamespace(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "file", "value 0")
	box := b.contain(0)
	inner := exec.Command("sleep", "1000")
	inner.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
	}
	if err := inner.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { inner.Process.Kill(); inner.Wait() }()
	was := box.cmd
	box.cmd = inner // its view of the node's own bind is of the same volume
	host := ownMounts(t)
	b.put("file", "value 1")
	done := make(chan struct{})
	go func() { defer close(done); b.fresh() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("did not end")
	}
	box.cmd = was
	if after := ownMounts(t); !slices.Equal(after, host) {
		t.Errorf("the machine's mounts:\nbefore %q\nafter  %q", host, after)
	}
	told := b.told()
	if len(told) != 1 || !strings.Contains(told[0], "keeps its old content: the kernel refuses to exchange it") {
		t.Errorf("events %q", told)
	}
}

func TestContainerThatEndedIsNoError(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "file", "value 0")
	box := b.contain(0)
	b.put("file", "value 1")
	b.fresh()
	box.cmd.Process.Kill()
	box.cmd.Wait()
	b.put("file", "value 2")
	b.fresh()
	if told := b.told(); len(told) > 0 {
		t.Errorf("events %q", told)
	}
}

func TestGivingUpLeavesNothingBehind(t *testing.T) {
	b := newBench(t, volumeV(oneFile), "file", "value 0")
	box := b.contain(0)
	b.put("file", "value 1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	handles := func() int {
		entries, _ := os.ReadDir("/proc/self/fd")
		return len(entries)
	}
	b.Fresh(ctx, b.pod, "v")
	before := handles()
	for range 100 {
		b.Fresh(ctx, b.pod, "v")
	}
	for end := time.Now().Add(5 * time.Second); handles() > before && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if after := handles(); after > before || len(b.told()) > 0 {
		t.Errorf("%d handles before, %d after, events %q", before, after, b.told())
	}
	b.fresh()
	if got := box.read("/etc/file"); got != "value 1" {
		t.Errorf("%q", got)
	}
}
