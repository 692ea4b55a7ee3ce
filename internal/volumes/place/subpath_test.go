package place_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/place"
)

// inode names a file by its file system and number.
func inode(t *testing.T, path string) [2]uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return [2]uint64{uint64(st.Dev), st.Ino}
}

// TestSubPathRace lets a container exchange a directory for a link out of the volume
// while others start with a subPath through it.
func TestSubPathRace(t *testing.T) {
	for _, medium := range []string{"", "Memory"} {
		for _, target := range []string{"/", "/etc", "../..", "../../../../../../../../etc", "/proc/self/root", "up/../../../..", "/proc/self/cwd"} {
			for _, subPath := range []string{"x", "x/deep", "x/made/" + strings.ReplaceAll(target, "/", "_")} {
				t.Run(medium+" "+target+" "+subPath, func(t *testing.T) { subPathRace(t, medium, target, subPath) })
			}
		}
	}
}

func subPathRace(t *testing.T, medium, target, subPath string) {
	b := newBench(t, fakeapi.New(t))
	p := b.pod("p", `{containers: [{name: c, volumeMounts: [{name: v, mountPath: /v, subPath: "`+subPath+`"}]}], volumes: [{name: v, emptyDir: {medium: "`+medium+`"}}]}`)
	b.setup(p)
	volume := filepath.Join(b.PodDir(p.UID), "volumes/kubernetes.io~empty-dir/v")
	for _, dir := range []string{"a/x/deep", "b", "up"} {
		if err := os.MkdirAll(filepath.Join(volume, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Rename(volume+"/a/x", volume+"/x"), os.Symlink(target, volume+"/b/x")); err != nil {
		t.Fatal(err)
	}
	outside := entriesOf(t, "/", "/etc")

	var end atomic.Bool
	var swaps atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !end.Load() {
			_ = unix.Renameat2(unix.AT_FDCWD, volume+"/x", unix.AT_FDCWD, volume+"/b/x", unix.RENAME_EXCHANGE)
			swaps.Add(1)
		}
	}()
	within, refused := 0, 0
	for began := time.Now(); (within < 10 || refused < 10 || swaps.Load() < 300) && time.Since(began) < 10*time.Second; {
		all, err := b.MountsFor(p, "c")
		if err != nil {
			refused++
			if strings.Contains(err.Error(), b.root) {
				t.Errorf("the message shows the node's path: %v", err)
			}
			continue
		}
		within++
		inside := inode(t, volume)[0]
		if at := inode(t, all[0].HostPath); at[0] != inside || at == inode(t, "/") || at == inode(t, "/etc") || at == inode(t, volume) {
			t.Fatalf("the subPath leads to file %v; the volume's file system is %d", at, inside)
		}
	}
	end.Store(true)
	<-done
	if within < 10 || refused < 10 {
		t.Errorf("%d swaps, %d starts inside, %d refused: that was no race", swaps.Load(), within, refused)
	}
	if now := entriesOf(t, "/", "/etc"); now != outside {
		t.Errorf("something was made outside:\nbefore %s\nafter  %s", outside, now)
	}
}

func entriesOf(t *testing.T, dirs ...string) (all string) {
	t.Helper()
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all += e.Name() + " "
		}
	}
	return all
}

func TestMissingSubPathIsMadeWithTheVolumesMode(t *testing.T) {
	b := newBench(t, fakeapi.New(t))
	p := b.pod("p", `{securityContext: {fsGroup: 2000}, containers: [{name: c, volumeMounts: [{name: v, mountPath: /v, subPath: a/b}]}], volumes: [{name: v, emptyDir: {}}]}`)
	b.setup(p)
	path := b.mount(p)
	volume := filepath.Join(b.PodDir(p.UID), "volumes/kubernetes.io~empty-dir/v")
	for _, made := range []string{path, volume + "/a", volume + "/a/b"} {
		var st unix.Stat_t
		if err := unix.Stat(made, &st); err != nil || st.Mode != unix.S_IFDIR|unix.S_ISGID|0o777 || st.Gid != 2000 {
			t.Errorf("%s: mode %o, group %d, %v", made, st.Mode, st.Gid, err)
		}
	}
}

func TestMissingSubPathOfContentIsADirectoryUntilTheRestart(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.ConfigMap("ns", "cm", "other", "x"))
	b := newBench(t, api)
	p := b.pod("p", `{containers: [{name: c, volumeMounts: [{name: v, mountPath: /v, subPath: file}]}], volumes: [{name: v, configMap: {name: cm}}]}`)
	b.setup(p)
	if info, err := os.Stat(b.mount(p)); err != nil || !info.IsDir() {
		t.Fatalf("%v, %v", info, err)
	}
	api.Put(fakeapi.ConfigMap("ns", "cm", "other", "x", "file", "now"))
	eventually(t, "the file", func() bool { return read(b.mount(p)) == "now" })
}

func TestRenewSubPathsOfTheNode(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.ConfigMap("ns", "cm", "file", "1", "gone", "1"))
	b := newBench(t, api)
	p := b.pod("p", `{containers: [{name: c, volumeMounts: [{name: v, mountPath: /a, subPath: file}, {name: v, mountPath: /b, subPath: gone}, {name: v, mountPath: /c}]}],
		volumes: [{name: v, configMap: {name: cm}}]}`)
	b.setup(p)
	all, err := b.MountsFor(p, "c")
	if err != nil {
		t.Fatal(err)
	}
	api.Put(fakeapi.ConfigMap("ns", "cm", "file", "2"))
	eventually(t, "the update", func() bool { return read(all[2].HostPath, "file") == "2" })
	for range 3 {
		if err := b.RenewSubPaths(p.UID, "v"); err != nil {
			t.Fatal(err)
		}
	}
	if got := [2]string{read(all[0].HostPath), read(all[1].HostPath)}; got != [2]string{"2", "1"} {
		t.Errorf("binds show %q", got)
	}
	if _, err := b.Content(p.UID, "none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such volume: %v", err)
	}
	if err := b.RenewSubPaths("nobody", "v"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such pod: %v", err)
	}
}

func TestSubPathOf(t *testing.T) {
	for root, want := range map[string]string{
		"/..2026_11_22_00_00_00.1/key": "key", "/..2026_11_22_00_00_00.1/a/b": "a/b", "/..2026_1//deleted": ".",
		"/..2026_11_22_00_00_00.1/key//deleted": "key", "/missing": "missing", "/": "", "//deleted": "",
	} {
		if got, ok := place.SubPathOf(root); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", root, got, ok)
		}
	}
}

// FuzzSubPathOf holds that whatever root a mount tells, opening its subPath stays in the
// published generation.
func FuzzSubPathOf(f *testing.F) {
	for _, root := range []string{"/..2026_1/key", "/..2026_1/../../etc", "/..g//etc", "//deleted", "/../x", "/..data/x", "/a//deleted"} {
		f.Add(root)
	}
	dir := f.TempDir()
	if err := os.MkdirAll(dir+"/volume/..data", 0o755); err != nil {
		f.Fatal(err)
	}
	volume, err := rootfd.Open(dir + "/volume")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, root string) {
		subPath, ok := place.SubPathOf(root)
		if ok && subPath == "" {
			t.Fatalf("%q: an empty subPath", root)
		}
		at, err := volume.Lookup("..data/" + subPath)
		if err != nil {
			return
		}
		defer at.Close()
		if path, _ := os.Readlink(at.Path()); path != dir+"/volume" && !strings.HasPrefix(path, dir+"/volume/") {
			t.Errorf("%q leads to %s", root, path)
		}
	})
}

// TestKeyThatAMountPointCoversIsTold holds that nobody is told that a volume is in step
// which cannot show a file.
func TestKeyThatAMountPointCoversIsTold(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.ConfigMap("ns", "m", "there", "1"))
	b := newBench(t, api)
	p := b.pod("p", `{containers: [{name: c, volumeMounts: [{name: v, mountPath: /late, subPath: late}]}], volumes: [{name: v, configMap: {name: m}}]}`)
	b.setup(p)
	if _, err := b.MountsFor(p, "c"); err != nil {
		t.Fatal(err)
	}
	api.Put(fakeapi.ConfigMap("ns", "m", "there", "2", "late", "1"))
	const want = `["late"] cannot be seen: a mount point is in its place`
	eventually(t, "it is told", func() bool { return strings.HasPrefix(b.status(p).Problem, want) })
	if told := strings.Join(b.told(), "\n"); !strings.Contains(told, want) {
		t.Errorf("events %q", told)
	}
	if got := read(filepath.Join(b.PodDir(p.UID), "volumes/kubernetes.io~configmap/v"), "there"); got != "2" {
		t.Errorf("the rest shows %q", got)
	}
}
