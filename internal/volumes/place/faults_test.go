package place_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/projection/atomicdir"
)

// remount changes the file system of a volume.
func remount(t *testing.T, dir string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, options); err != nil {
		t.Fatal(err)
	}
}

// fails waits until the reason why a volume is not up to date can be seen: in an
// event and in the snapshot.
func (b *bench) fails(p *corev1.Pod, reason string) {
	b.t.Helper()
	eventually(b.t, reason, func() bool { return strings.Contains(b.status(p).Problem, reason) })
	eventually(b.t, "an event", func() bool {
		return slices.ContainsFunc(b.told(), func(e string) bool {
			return strings.HasPrefix(e, p.Name+" Warning FailedMount MountVolume.SetUp failed for volume \"v\" : ") && strings.Contains(e, reason)
		})
	})
}

func TestAFullVolumeKeepsItsFiles(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "1")
	for name, gate := range map[string]bool{"at once": false, "checked": true} {
		t.Run(name, func(t *testing.T) {
			put(server, "1")
			b := newBench(t, server)
			if gate {
				b, _ = guarded(t, server, nil)
			}
			p := b.pod("p", one(mixed))
			b.setup(p)
			dir := b.mount(p)
			remount(t, dir, 0, "size=16k")
			put(server, strings.Repeat("x", 100<<10))
			b.fails(p, "no space left on device")
			if got := read(dir, "k"); got != "1" || len(staged(t, dir)) > 0 {
				t.Errorf("k = %q, staged %q", got, staged(t, dir))
			}
			remount(t, dir, 0, "size=10m")
			eventually(t, "the new content", func() bool { return len(read(dir, "k")) == 100<<10 })
			eventually(t, "no problem", func() bool { return b.status(p).Problem == "" })
		})
	}
}

func TestAReadOnlyVolumeKeepsItsFiles(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "1")
	b := newBench(t, server)
	p := b.pod("p", one("configMap: {name: c}"))
	b.setup(p)
	dir := b.mount(p)
	remount(t, dir, syscall.MS_RDONLY, "")
	put(server, "2")
	b.fails(p, "read-only file system")
	if got := read(dir, "k"); got != "1" {
		t.Errorf("k = %q", got)
	}
	remount(t, dir, 0, "")
	eventually(t, "the new content", func() bool { return read(dir, "k") == "2" && b.status(p).Problem == "" })
}

// wide is a ConfigMap of many files that all say the same.
func wide(files int, value string) *corev1.ConfigMap {
	m := fakeapi.ConfigMap("ns", "c")
	for i := range files {
		m.Data[fmt.Sprint("f", i)] = value
	}
	return m
}

// whole reads all files of what a volume shows and returns what they say.
func whole(dir string, files int) (string, error) {
	root, err := atomicdir.Pin(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	value := ""
	for i := range files {
		data, err := root.ReadFile(fmt.Sprint("f", i))
		if err != nil {
			return "", err
		}
		if i > 0 && value != string(data) {
			return "", fmt.Errorf("f%d says %q, others %q", i, data, value)
		}
		value = string(data)
	}
	return value, nil
}

func TestSourcesThatGoWhileTheyAreWritten(t *testing.T) {
	const files = 2000
	server := fakeapi.New(t)
	server.Put(wide(files, "0"))
	b := newBench(t, server)
	p := b.pod("p", one("configMap: {name: c}"))
	b.setup(p)
	dir := b.mount(p)
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			if _, err := whole(dir, files); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for n := range 20 {
		server.Put(wide(files, fmt.Sprint(n+1)))
		time.Sleep(time.Duration(n) * time.Millisecond) // somewhere in the writing
		server.Delete("configmaps", "ns", "c")
	}
	b.fails(p, `configmap "c" not found`)
	server.Put(wide(files, "last"))
	eventually(t, "the last content", func() bool { value, _ := whole(dir, files); return value == "last" })
	close(stop)
	reader.Wait()
}

func TestFilesThatSomebodyRemoved(t *testing.T) {
	server := fakeapi.New(t)
	for name, remove := range map[string]func(dir string) error{
		"a file":   func(dir string) error { return os.Remove(filepath.Join(dir, "..data/k")) },
		"a link":   func(dir string) error { return os.Remove(filepath.Join(dir, "k")) },
		"the link": func(dir string) error { return os.Remove(filepath.Join(dir, "..data")) },
		"a generation": func(dir string) error {
			target, _ := os.Readlink(dir + "/..data")
			return os.RemoveAll(filepath.Join(dir, target))
		},
		"everything": func(dir string) error {
			entries, err := os.ReadDir(dir)
			for _, e := range entries {
				err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			put(server, "1")
			b := newBench(t, server)
			p := b.pod("p", one(mixed))
			b.setup(p)
			dir := b.mount(p)
			if err := remove(dir); err != nil {
				t.Fatal(err)
			}
			b.mount(p) // a container starts
			eventually(t, "the file", func() bool { return read(dir, "k") == "1" && strings.HasPrefix(read(dir, "token"), "token-") })
			if err := remove(dir); err != nil {
				t.Fatal(err)
			}
			put(server, "2")
			eventually(t, "the new content", func() bool { return read(dir, "k") == "2" })
			eventually(t, "a status that says so", func() bool { // noted after the file is there
				s := b.status(p)
				return s.Problem == "" && s.Sources[0].Published == s.Sources[0].Observed
			})
		})
	}
}

func TestAnEmptyDirThatSomebodyRemoved(t *testing.T) {
	b := newBench(t, fakeapi.New(t))
	p := b.pod("p", one("emptyDir: {}"))
	b.setup(p)
	dir := b.mount(p)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := b.MountsFor(p, "c"); err == nil || !strings.Contains(err.Error(), "removed by somebody else") {
		t.Errorf("error %v", err)
	}
	eventually(t, "made again", func() bool { _, err := b.MountsFor(p, "c"); return err == nil })
	if got := describe(t, dir); got != "drwxrwxrwx 0:0" {
		t.Errorf("%s", got)
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
