package images_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/images"
	"laterna.dev/laterna/internal/runtime/pause"
	"laterna.dev/laterna/internal/runtime/runtimetest"
)

func names(list []images.Image) []string {
	var all []string
	for _, img := range list {
		all = append(all, img.Name)
	}
	return all
}

func TestImportListRemove(t *testing.T) {
	m := runtimetest.Start(t, runtimetest.Dir(t))
	ctx := t.Context()
	began := time.Now()
	got, err := m.Images.ImportFile(ctx, runtimetest.Archive(t, "busybox:1.28", "example.com/box:v1"), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("import took %v", time.Since(began))
	if want := []string{"docker.io/library/busybox:1.28", "example.com/box:v1"}; !slices.Equal(names(got), want) {
		t.Errorf("imported %v, want %v", names(got), want)
	}
	list, err := m.Images.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(list, func(i images.Image) bool { return i.Name == "docker.io/library/busybox:1.28" })
	if at < 0 || list[at] != got[0] {
		t.Errorf("list %+v lacks %+v", list, got[0])
	}
	for ref, want := range map[string]bool{"busybox:1.28": true, "docker.io/library/busybox:1.28": true, "busybox": false, "nginx": false} {
		if is, err := m.Images.Imported(ctx, ref); err != nil || is != want {
			t.Errorf("imported %q: %v, %v; want %v", ref, is, err, want)
		}
	}
	if _, err := m.Images.Imported(ctx, "No/Name"); err == nil {
		t.Error("an impossible name is no error")
	}

	if err := m.Images.Remove(ctx, "busybox:1.28"); err != nil {
		t.Fatal(err)
	}
	if err := m.Images.Remove(ctx, "busybox:1.28"); !errors.Is(err, images.ErrNotFound) {
		t.Errorf("removing again: %v, want ErrNotFound", err)
	}
	if is, err := m.Images.Imported(ctx, "example.com/box:v1"); err != nil || !is {
		t.Errorf("the other name went too: %v, %v", is, err)
	}
	if img, err := m.CRI.ImageStatus(ctx, "example.com/box:v1"); err != nil || img == nil {
		t.Errorf("CRI on the other name: %v, %v", img, err)
	}
}

func TestRemoveOfTheLastNameFreesTheContent(t *testing.T) {
	m := runtimetest.Start(t, runtimetest.Dir(t))
	if err := m.Images.Remove(t.Context(), "busybox:test"); err != nil {
		t.Fatal(err)
	}
	list, err := m.Images.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || !strings.HasPrefix(list[0].Name, "laterna.dev/pause@sha256:") {
		t.Errorf("left: %v, want the sandbox image only", names(list))
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		out, err := exec.Command("find", m.Dir.Containerd(), "-path", "*blobs/sha256/*", "-size", "+100k").Output()
		if err != nil {
			t.Fatal(err)
		}
		if len(out) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("blobs left after 10 s:\n%s", out)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestContainersRunFromAnImportedImageAfterARestart(t *testing.T) {
	dir := runtimetest.Dir(t)
	m := runtimetest.Start(t, dir)
	if err := m.Daemon.Stop(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	info, err := containerd.New(runtimetest.Config(t, dir)).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Adopted {
		t.Error("the daemon was not started anew; the test shows nothing")
	}
	img, err := pause.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{img.Ref, "busybox:test"} {
		if is, err := m.Images.Imported(t.Context(), ref); err != nil || !is {
			t.Errorf("imported %s after a restart: %v, %v", ref, is, err)
		}
	}
	began := time.Now()
	if _, err := m.Images.EnsurePause(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("the sandbox image was there in %v", time.Since(began))
	m.Run(t, "one", true, "sleep", "1000")
}

func TestImportAgainMovesTheName(t *testing.T) {
	m := runtimetest.Start(t, runtimetest.Dir(t))
	path := runtimetest.Archive(t, "busybox:test")
	first, err := m.Images.ImportFile(t.Context(), path, "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Images.ImportFile(t.Context(), path, "")
	if err != nil || again[0] != first[0] {
		t.Errorf("second import: %+v, %v; want %+v", again, err, first)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(raw), `"Cmd":["sh"]`, `"Cmd":["ls"]`, 1)
	if changed == string(raw) {
		t.Fatal("the archive was not changed; the test shows nothing")
	}
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	moved, err := m.Images.ImportFile(t.Context(), path, "")
	if err != nil {
		t.Fatal(err)
	}
	if moved[0].ID == first[0].ID {
		t.Error("the changed image has the same id")
	}
	if img, err := m.CRI.ImageStatus(t.Context(), "busybox:test"); err != nil || img == nil || img.ID != moved[0].ID {
		t.Errorf("CRI knows %+v, %v; want id %s", img, err, moved[0].ID)
	}
}

func TestImportsOfOneImageAtOnce(t *testing.T) {
	m := runtimetest.Start(t, runtimetest.Dir(t))
	if err := m.Images.Remove(t.Context(), "busybox:test"); err != nil {
		t.Fatal(err)
	}
	path := runtimetest.Archive(t, "parallel:v1")
	errs := make(chan error)
	for range 4 {
		go func() {
			_, err := m.Images.ImportFile(t.Context(), path, "")
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestTheSandboxImageStays(t *testing.T) {
	m := runtimetest.Start(t, runtimetest.Dir(t))
	img, err := pause.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Images.Remove(t.Context(), img.Ref); err == nil || !strings.Contains(err.Error(), "sandbox image") {
		t.Errorf("error %v, want a refusal", err)
	}
}

func TestNamelessArchiveNeedsAName(t *testing.T) {
	m := runtimetest.Start(t, runtimetest.Dir(t))
	path := runtimetest.Archive(t)
	if _, err := m.Images.ImportFile(t.Context(), path, ""); err == nil || !strings.Contains(err.Error(), "--name") {
		t.Errorf("error %v, want one that names --name", err)
	}
	got, err := m.Images.ImportFile(t.Context(), path, "my/box")
	if err != nil || len(got) != 1 || got[0].Name != "docker.io/my/box:latest" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDamagedLayerIsRefused(t *testing.T) {
	m := runtimetest.Start(t, runtimetest.Dir(t))
	path := runtimetest.Archive(t, "damaged:v1")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(raw), "\x7fELF")
	if at < 0 {
		t.Fatal("no program in the archive")
	}
	raw[at+5000] ^= 0xff
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Images.ImportFile(t.Context(), path, ""); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("error %v, want one that says damaged", err)
	}
	if is, err := m.Images.Imported(t.Context(), "damaged:v1"); err != nil || is {
		t.Errorf("the damaged image has a name: %v, %v", is, err)
	}
}
