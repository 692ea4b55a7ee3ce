package mounts

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func mkdir(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func tmpfs(t *testing.T, path string) {
	t.Helper()
	if err := unix.Mount("tmpfs", mkdir(t, path), "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("mounting (needs root): %v", err)
	}
	t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
}

func points(t *testing.T, dir string) []string {
	t.Helper()
	found, err := Under(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range found {
		if m.Type != "tmpfs" {
			t.Errorf("mount %+v, want a tmpfs", m)
		}
		all = append(all, strings.TrimPrefix(m.Point, dir))
	}
	return all
}

func TestRemoveUnmountsWhatIsBelow(t *testing.T) {
	dir := t.TempDir()
	tmpfs(t, filepath.Join(dir, "own", "a b\tc"))
	tmpfs(t, filepath.Join(dir, "own", "a b\tc", "nested"))
	tmpfs(t, filepath.Join(dir, "own-neighbour"))
	own := filepath.Join(dir, "own")
	if got, want := points(t, own), []string{"/a b\tc", "/a b\tc/nested"}; !slices.Equal(got, want) {
		t.Errorf("mounts %q, want %q", got, want)
	}
	busy, err := os.Open(filepath.Join(own, "a b\tc", "nested"))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if err := Remove(own); err != nil {
		t.Fatal(err)
	}
	if got := points(t, dir); !slices.Equal(got, []string{"/own-neighbour"}) {
		t.Errorf("left %q, want the neighbour only", got)
	}
	if err := Remove(own); err != nil {
		t.Errorf("nothing to remove: %v", err)
	}
}

func TestTheDirectorysOwnMountStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disk")
	tmpfs(t, dir)
	tmpfs(t, filepath.Join(dir, "volume"))
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if got := points(t, filepath.Dir(dir)); !slices.Equal(got, []string{"/disk"}) {
		t.Errorf("left %q, want the disk itself", got)
	}
}

func TestRead(t *testing.T) {
	got, err := Read(strings.NewReader(`22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
41 22 0:300 /f\040//deleted /a\040b\011c\134d ro,nosuid shared:7 master:3 - tmpfs tmpfs rw,size=1k
`))
	want := []Mount{
		{ID: 22, Parent: 1, Device: unix.Mkdev(254, 0), Root: "/", Point: "/", Options: []string{"rw", "relatime"}, Propagation: []string{"shared:1"}, Type: "ext4"},
		{ID: 41, Parent: 22, Device: unix.Mkdev(0, 300), Root: "/f //deleted", Point: "/a b\tc\\d", Options: []string{"ro", "nosuid"}, Propagation: []string{"shared:7", "master:3"}, Type: "tmpfs"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"22 1 254:0 / / rw\n", "x 1 254:0 / / rw - a b c\n", "1 1 254 / / rw - a b c\n", "\n"} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

// FuzzRead holds that no text crashes the reader and that a line is never lost.
func FuzzRead(f *testing.F) {
	f.Add("22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n")
	f.Add("41 22 0:5 /a\\040 /b rw - tmpfs tmpfs rw\n41 22 0:5 / / rw - - -\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := Read(strings.NewReader(text))
		if err == nil && len(all) != strings.Count(strings.TrimSuffix(text, "\n")+"\n", "\n") && text != "" {
			t.Errorf("%d mounts in %q", len(all), text)
		}
	})
}
