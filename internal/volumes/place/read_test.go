package place_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/volumes/fakeapi"
)

func TestReadFileReadsWhatContainersKeepInAnEmptyDir(t *testing.T) {
	b := newBench(t, fakeapi.New(t))
	for _, medium := range []string{"", "Memory"} {
		name := strings.ToLower("reader" + medium)
		p := b.pod(name, `
containers: [{name: c, image: i, volumeMounts: [{name: v, mountPath: /v}]}]
volumes: [{name: v, emptyDir: {medium: "`+medium+`"}}, {name: api, downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]`)
		if _, err := b.ReadFile(p.UID, "v", "f", 10); err == nil || err.Error() != `cannot find the volume "v" referenced by FileKeyRef` {
			t.Errorf("before the set-up: %v", err)
		}
		b.setup(p)
		dir := b.mount(p)
		if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte("K='v'"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := b.ReadFile(p.UID, "v", "f", 10); string(got) != "K='v'" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		for file, want := range map[string]string{"link": "the path leads out of the volume", "../../x": "the path leads out of the volume", ".": rootfd.ErrNotRegular.Error()} {
			if _, err := b.ReadFile(p.UID, "v", file, 10); err == nil || err.Error() != want {
				t.Errorf("%s: %s: %v, want %s", name, file, err, want)
			}
		}
		if _, err := b.ReadFile(p.UID, "v", "none", 10); !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), b.root) {
			t.Errorf("%s: missing file: %v", name, err)
		}
		if _, err := b.ReadFile(p.UID, "v", "f", 4); !errors.Is(err, rootfd.ErrTooLarge) {
			t.Errorf("%s: too large: %v", name, err)
		}
		if _, err := b.ReadFile(p.UID, "api", "name", 10); err == nil || err.Error() != `volume "api" is not an emptyDir` {
			t.Errorf("%s: another kind: %v", name, err)
		}
		if _, err := b.ReadFile(p.UID, "none", "f", 10); err == nil || err.Error() != `cannot find the volume "none" referenced by FileKeyRef` {
			t.Errorf("%s: unknown volume: %v", name, err)
		}
	}
}
