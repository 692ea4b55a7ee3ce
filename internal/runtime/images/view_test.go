package images_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"

	"laterna.dev/laterna/internal/runtime/runtimetest"
)

// TestViewsKeepTheFilesOfAnImage removes the image while its files are held.
func TestViewsKeepTheFilesOfAnImage(t *testing.T) {
	t.Parallel()
	m := runtimetest.Start(t, runtimetest.Dir(t))
	two := dockerArchive(t, dockerImage{[]string{"two:1"}, []packed{
		unpackedLayer(tarball(t, plain("file", []byte("lower")), plain("lower", []byte("lower")))), unpackedLayer(layerOf(t, "upper")),
	}})
	one := ociArchive(t, v1.MediaTypeImageLayer, unpackedLayer(layerOf(t, "only")), func(digest.Digest) map[string]string {
		return map[string]string{"io.containerd.image.name": "docker.io/library/one:1"}
	})
	held := map[string][]string{}
	for _, path := range []string{two, one} {
		got, err := m.Images.ImportFile(t.Context(), path, "")
		if err != nil || len(got) != 1 {
			t.Fatalf("imported %+v, %v", got, err)
		}
		for range 2 { // once more is a new view
			if held[got[0].ID], err = m.Images.Views().View(t.Context(), "view/"+got[0].Name, got[0].ID); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Images.Remove(t.Context(), got[0].Name); err != nil {
			t.Fatal(err)
		}
	}
	views, err := m.Images.Views().List(t.Context())
	if err != nil || len(views) != 2 {
		t.Errorf("views %q, %v", views, err)
	}
	read := func(dir, file string) string {
		content, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err.Error()
		}
		return string(content)
	}
	for key, image := range views {
		dirs := held[image]
		switch key {
		case "view/docker.io/library/two:1":
			if len(dirs) != 2 || read(dirs[0], "file") != "upper" || read(dirs[1], "file") != "lower" || read(dirs[1], "lower") != "lower" {
				t.Errorf("the files of two are in %q", dirs)
			}
		case "view/docker.io/library/one:1":
			if len(dirs) != 1 || read(dirs[0], "file") != "only" {
				t.Errorf("the files of one are in %q", dirs)
			}
		default:
			t.Errorf("a view %s", key)
		}
		for range 2 {
			if err := m.Images.Views().Release(t.Context(), key); err != nil {
				t.Errorf("giving up %s: %v", key, err)
			}
		}
	}
	if views, err := m.Images.Views().List(t.Context()); err != nil || len(views) != 0 {
		t.Errorf("views are left: %q, %v", views, err)
	}
	if _, err := m.Images.Views().View(t.Context(), "view/missing", "sha256:"+strings.Repeat("0", 64)); err == nil || !strings.Contains(err.Error(), "reading the configuration of image") {
		t.Errorf("an image that is not there: %v", err)
	}
}
