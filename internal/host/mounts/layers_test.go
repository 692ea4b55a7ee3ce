package mounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// layered is a directory with one file below dir.
func layered(t *testing.T, dir, file, content string) string {
	t.Helper()
	mkdir(t, dir)
	if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// onMemory is a directory whose file system can be below an overlay.
func onMemory(t *testing.T) string {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Fatalf("mounting (needs root): %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestLayersLieOverOneAnother(t *testing.T) {
	root := onMemory(t)
	top := layered(t, filepath.Join(root, "a", "top"), "both", "top")
	bottom := layered(t, filepath.Join(root, "b", "bottom"), "both", "bottom")
	layered(t, bottom, "below", "bottom")
	for name, dirs := range map[string][]string{"one": {top}, "two": {top, bottom}} {
		target := mkdir(t, filepath.Join(root, "target-"+name))
		if err := Layers(target, dirs); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Cleanup(func() { unix.Unmount(target, unix.MNT_DETACH) })
		if got, err := os.ReadFile(filepath.Join(target, "both")); err != nil || string(got) != "top" {
			t.Errorf("%s: the upper file is %q, %v", name, got, err)
		}
		if _, err := os.Stat(filepath.Join(target, "below")); (err == nil) != (name == "two") {
			t.Errorf("%s: the lower file: %v", name, err)
		}
		// Not even when the mount is told to be writable.
		if err := unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(target, "new"), nil, 0o644); !errors.Is(err, unix.EROFS) {
			t.Errorf("%s: writing: %v", name, err)
		}
	}
}

// TestManyLayersFitIntoAPage has as many as an image may have, at a long path.
func TestManyLayersFitIntoAPage(t *testing.T) {
	root := filepath.Join(onMemory(t), strings.Repeat("long", 40))
	var dirs []string
	for i := range 127 {
		dirs = append(dirs, layered(t, filepath.Join(root, fmt.Sprint(i), "fs"), fmt.Sprint("file", i), ""))
	}
	target := mkdir(t, filepath.Join(root, "target"))
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := Layers(target, dirs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(target, unix.MNT_DETACH) })
	if files, err := os.ReadDir(target); err != nil || len(files) != len(dirs) {
		t.Errorf("%d files of %d layers, %v", len(files), len(dirs), err)
	}
	if after, err := os.Getwd(); err != nil || after != before {
		t.Errorf("the working directory was %s and is %s, %v", before, after, err)
	}
}

func TestLayersThatCannotBeMounted(t *testing.T) {
	root := onMemory(t)
	target := mkdir(t, filepath.Join(root, "target"))
	for want, dirs := range map[string][]string{
		"there are none":     nil,
		"no such file":       {filepath.Join(root, "missing")},
		"colon":              {layered(t, filepath.Join(root, "a:b"), "f", "")},
		"mounting 2 layers:": {layered(t, filepath.Join(root, "c"), "f", ""), filepath.Join(root, "missing")},
	} {
		if err := Layers(target, dirs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", dirs, err, want)
		}
	}
	if under, err := Under(root); err != nil || len(under) != 0 {
		t.Errorf("mounts are left: %+v, %v", under, err)
	}
}
