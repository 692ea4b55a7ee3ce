package images_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"

	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/runtime/pause"
	"laterna.dev/laterna/internal/runtime/runtimetest"
)

// claims are archives that claim a name that none may have, and what the refusal says.
func claims(t *testing.T, ref string) map[string]struct{ path, want string } {
	evil := unpackedLayer(layerOf(t, "evil"))
	named := func(names ...string) string {
		return dockerArchive(t, dockerImage{names, []packed{evil}})
	}
	annotated := func(key, value string) string {
		return ociArchive(t, v1.MediaTypeImageLayer, evil, func(digest.Digest) map[string]string { return map[string]string{key: value} })
	}
	zero := "sha256:" + strings.Repeat("0", 64)
	const sandbox, content = "sandbox image", "stands for that very content"
	return map[string]struct{ path, want string }{
		"the name itself":              {named(ref), sandbox},
		"a tag":                        {named("laterna.dev/pause:000000000000"), sandbox},
		"without a tag":                {named("laterna.dev/pause"), sandbox},
		"tag and digest":               {named("laterna.dev/pause:1" + strings.TrimPrefix(ref, "laterna.dev/pause")), sandbox},
		"upper case":                   {named("LATERNA.dev/pause:1"), sandbox},
		"reads alike":                  {named("docker.io/laterna.dev/pause:1"), "written short"},
		"behind another name":          {named("innocent:1", "laterna.dev/pause:1"), sandbox},
		"behind another image":         {dockerArchive(t, dockerImage{[]string{"innocent:1"}, []packed{evil}}, dockerImage{[]string{ref}, []packed{evil}}), sandbox},
		"by containerd's annotation":   {annotated("io.containerd.image.name", ref), sandbox},
		"by the OCI's annotation":      {annotated("org.opencontainers.image.ref.name", "laterna.dev/pause:1"), sandbox},
		"a digest":                     {named("busybox@" + zero), content},
		"a digest, with a tag":         {named("busybox:test@" + zero), content},
		"a digest by annotation":       {annotated("io.containerd.image.name", "docker.io/library/busybox@"+zero), content},
		"the name of an image id":      {named(zero), "digest algorithm"},
		"the name of an id, with host": {named("docker.io/library/sha256:" + strings.Repeat("0", 64)), "digest algorithm"},
	}
}

func TestAnArchiveCannotClaimNamesThatAreNotItsOwn(t *testing.T) {
	t.Parallel()
	m := runtimetest.Start(t, runtimetest.Dir(t))
	img, err := pause.New()
	if err != nil {
		t.Fatal(err)
	}
	before := stored(t, m)
	for name, test := range claims(t, img.Ref) {
		if got, err := m.Images.ImportFile(t.Context(), test.path, ""); err == nil || !strings.Contains(err.Error(), test.want) || len(got) > 0 {
			t.Errorf("%s: imported %+v, %v; want an error with %q", name, got, err, test.want)
		}
	}
	nameless := dockerArchive(t, dockerImage{nil, []packed{unpackedLayer(layerOf(t, "evil"))}})
	if _, err := m.Images.ImportFile(t.Context(), nameless, img.Ref); err == nil || !strings.Contains(err.Error(), "sandbox image") {
		t.Errorf("by the fallback: %v", err)
	}
	if after := stored(t, m); !slices.Equal(before, after) {
		t.Errorf("stored before: %q\nafter: %q", before, after)
	}
	for _, ref := range []string{img.Ref, "docker.io/library/busybox:test"} {
		if err := m.Images.Remove(t.Context(), ref); (err == nil) != (ref != img.Ref) {
			t.Errorf("removing %s: %v", ref, err)
		}
	}
}

func TestADigestMayNameItsOwnContent(t *testing.T) {
	t.Parallel()
	m := runtimetest.Start(t, runtimetest.Dir(t))
	path := ociArchive(t, v1.MediaTypeImageLayer, unpackedLayer(layerOf(t, "a")), func(d digest.Digest) map[string]string {
		return map[string]string{"io.containerd.image.name": "docker.io/library/own@" + d.String()}
	})
	got, err := m.Images.ImportFile(t.Context(), path, "")
	if err != nil || len(got) != 1 || got[0].Name != "docker.io/library/own@"+got[0].Digest {
		t.Errorf("imported %+v, %v", got, err)
	}
}

// TestNothingMovesTheSandboxImage does to containerd what a pull, a former version of
// this program and root can do.
func TestNothingMovesTheSandboxImage(t *testing.T) {
	t.Parallel()
	m := runtimetest.Start(t, runtimetest.Dir(t))
	ctx := t.Context()
	c := dialed(t, m)
	img, err := pause.New()
	if err != nil {
		t.Fatal(err)
	}
	evil, err := m.Images.ImportFile(ctx, dockerArchive(t, dockerImage{[]string{"evil:1"}, []packed{unpackedLayer(layerOf(t, "evil"))}}), "")
	if err != nil {
		t.Fatal(err)
	}
	target := &types.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: evil[0].Digest, Size: int64(c.size(evil[0].Digest))}
	c.name("laterna.dev/pause:pulled", target, map[string]string{"io.cri-containerd.image": "managed"})
	c.name("laterna.dev/pause:former", target, map[string]string{"io.cri-containerd.image": "managed", "laterna.dev/imported": "true"})
	if got := c.sandboxProgram(m); got != "/pause" {
		t.Errorf("with other tags, a sandbox runs %q", got)
	}
	for _, test := range []struct {
		what  string
		harm  func()
		stays bool // of what a pod had pulled
	}{
		{"the name is moved", func() { c.name(img.Ref, target, map[string]string{"io.cri-containerd.image": "managed"}) }, true},
		{"the name is removed", func() { c.unname(img.Ref) }, true},
		{"all is removed", func() {
			for _, name := range c.names() {
				if strings.HasPrefix(name, "sha256:") || strings.HasPrefix(name, "laterna.dev/pause") {
					c.unname(name)
				}
			}
		}, false},
	} {
		test.harm()
		if ref, err := m.Images.EnsurePause(ctx); err != nil || ref != img.Ref {
			t.Fatalf("%s: repaired %q, %v", test.what, ref, err)
		}
		if got := c.sandboxProgram(m); got != "/pause" {
			t.Errorf("%s: a sandbox runs %q", test.what, got)
		}
		got := c.names()
		if !slices.Contains(got, img.Ref) || slices.Contains(got, "laterna.dev/pause:former") || slices.Contains(got, "laterna.dev/pause:pulled") != test.stays {
			t.Errorf("%s: names after the repair: %q", test.what, got)
		}
	}
}

// sandboxProgram starts a pod and returns the program that holds its namespaces.
func (c *daemonAPI) sandboxProgram(m *runtimetest.Machine) string {
	c.t.Helper()
	c.pods++
	id := m.Sandbox(c.t, fmt.Sprint("sandbox-", c.pods))
	defer func() {
		if err := m.CRI.StopSandbox(c.t.Context(), id); err != nil {
			c.t.Error(err)
		}
	}()
	got, err := tasksapi.NewTasksClient(c.conn).Get(c.ctx, &tasksapi.GetRequest{ContainerID: id})
	if err != nil {
		c.t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		p, err := procfs.Get(int(got.GetProcess().GetPid()))
		if err != nil || time.Now().After(deadline) {
			c.t.Fatalf("process of the sandbox: %+v, %v", p, err)
		}
		// runc becomes it, and has no arguments in between.
		if len(p.Args) > 0 && p.Program() != "runc" {
			return p.Args[0]
		}
	}
}

// name makes or moves a record.
func (c *daemonAPI) name(name string, target *types.Descriptor, labels map[string]string) {
	c.t.Helper()
	c.unname(name)
	record := &imagesapi.Image{Name: name, Target: target, Labels: labels}
	if _, err := imagesapi.NewImagesClient(c.conn).Create(c.ctx, &imagesapi.CreateImageRequest{Image: record}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *daemonAPI) unname(name string) {
	c.t.Helper()
	_, err := imagesapi.NewImagesClient(c.conn).Delete(c.ctx, &imagesapi.DeleteImageRequest{Name: name, Sync: true})
	if err != nil && !strings.Contains(err.Error(), "not found") {
		c.t.Fatal(err)
	}
}

// names are those of all records.
func (c *daemonAPI) names() (all []string) {
	c.t.Helper()
	list, err := imagesapi.NewImagesClient(c.conn).List(c.ctx, &imagesapi.ListImagesRequest{})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, record := range list.GetImages() {
		all = append(all, record.GetName())
	}
	return all
}
