package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
)

func TestNormalize(t *testing.T) {
	tests := []struct{ in, want, familiar string }{
		{"busybox:1.28", "docker.io/library/busybox:1.28", "busybox:1.28"},
		{"busybox", "docker.io/library/busybox:latest", "busybox:latest"},
		{"luksa/fortune:env", "docker.io/luksa/fortune:env", "luksa/fortune:env"},
		{"tutum/curl", "docker.io/tutum/curl:latest", "tutum/curl:latest"},
		{"public.ecr.aws/nginx/nginx:X.XX", "public.ecr.aws/nginx/nginx:X.XX", "public.ecr.aws/nginx/nginx:X.XX"},
		{"localhost:5000/a", "localhost:5000/a:latest", "localhost:5000/a:latest"},
		{"a@sha256:" + strings.Repeat("0", 64), "docker.io/library/a@sha256:" + strings.Repeat("0", 64), "a@sha256:" + strings.Repeat("0", 64)},
		{"Upper/Case", "", ""}, {"", "", ""}, {"a b", "", ""}, {"a:\x00", "", ""},
	}
	for _, test := range tests {
		got, err := Normalize(test.in)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("Normalize(%q) = %q, %v; want %q", test.in, got, err, test.want)
		}
		if test.want != "" && Familiar(got) != test.familiar {
			t.Errorf("Familiar(%q) = %q, want %q", got, Familiar(got), test.familiar)
		}
	}
}

// entry is a member of an archive.
type entry struct {
	name, content, link string
}

func tarBytes(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.content)), Typeflag: tar.TypeReg}
		if e.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func text(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func config(t testing.TB, arch string, layers ...string) string {
	t.Helper()
	c := v1.Image{Platform: v1.Platform{OS: "linux", Architecture: arch}}
	c.RootFS.Type = "layers"
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, digest.FromString(l))
	}
	return text(t, c)
}

func dockerArchive(t testing.TB) []entry {
	layer := string(tarBytes(t, entry{name: "hello", content: "world"}))
	return []entry{
		{name: "./config.json", content: config(t, runtime.GOARCH, layer, layer)},
		{name: "aaa/layer.tar", content: layer},
		{name: "bbb/layer.tar", link: "../aaa/layer.tar"}, // older docker: equal layers are links
		{name: "manifest.json", content: text(t, []map[string]any{{
			"Config": "config.json", "RepoTags": []string{"busybox:1.28", "luksa/fortune:env"}, "Layers": []string{"aaa/layer.tar", "bbb/layer.tar"},
		}})},
	}
}

// ociLayout is an image for this machine, behind an index that also names another
// platform whose blobs are not there.
func ociLayout(t testing.TB, annotations map[string]string) []entry {
	layer := string(tarBytes(t, entry{name: "hello", content: "world"}))
	conf := config(t, runtime.GOARCH, layer)
	blob := func(mediaType, content string) (v1.Descriptor, entry) {
		d := digest.FromString(content)
		return v1.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}, entry{name: "blobs/sha256/" + d.Encoded(), content: content}
	}
	layerD, layerE := blob(v1.MediaTypeImageLayer, layer)
	configD, configE := blob(v1.MediaTypeImageConfig, conf)
	manifestD, manifestE := blob(v1.MediaTypeImageManifest, text(t, v1.Manifest{Config: configD, Layers: []v1.Descriptor{layerD}}))
	manifestD.Platform = &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	other := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString("elsewhere"), Platform: &v1.Platform{OS: "plan9", Architecture: "mips"}}
	indexD, indexE := blob(v1.MediaTypeImageIndex, text(t, v1.Index{Manifests: []v1.Descriptor{other, manifestD}}))
	indexD.Annotations = annotations
	return []entry{
		{name: "oci-layout", content: `{"imageLayoutVersion":"1.0.0"}`},
		{name: "index.json", content: text(t, v1.Index{Manifests: []v1.Descriptor{indexD}})},
		layerE, configE, manifestE, indexE,
	}
}

func parseFile(t *testing.T, path string) ([]bundle, error) {
	t.Helper()
	f, err := openFiles(path, scratch{dir: t.TempDir(), max: DefaultMaxSize})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parse(newSource(f, DefaultMaxSize))
}

func write(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func gz(t testing.TB, content []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestParseKnowsAllShapes(t *testing.T) {
	named := map[string]string{annotationContainerd: "docker.io/library/busybox:1.28", annotationRef: "1.28"}
	byRef := map[string]string{annotationRef: "busybox:1.28"}
	docker := tarBytes(t, dockerArchive(t)...)
	dir := t.TempDir()
	for _, e := range ociLayout(t, byRef) {
		path := filepath.Join(dir, e.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(e.content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	both := append(ociLayout(t, nil), dockerArchive(t)...)
	tests := []struct {
		name, path string
		names      []string
		layers     int
	}{
		{"docker", write(t, docker), []string{"docker.io/library/busybox:1.28", "docker.io/luksa/fortune:env"}, 2},
		{"docker, gzipped", write(t, gz(t, docker)), []string{"docker.io/library/busybox:1.28", "docker.io/luksa/fortune:env"}, 2},
		{"docker 25, which writes both", write(t, tarBytes(t, both...)), []string{"docker.io/library/busybox:1.28", "docker.io/luksa/fortune:env"}, 2},
		{"OCI", write(t, tarBytes(t, ociLayout(t, named)...)), []string{"docker.io/library/busybox:1.28"}, 1},
		{"OCI directory", dir, []string{"docker.io/library/busybox:1.28"}, 1},
		{"OCI with a bare tag", write(t, tarBytes(t, ociLayout(t, map[string]string{annotationRef: "latest"})...)), nil, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseFile(t, test.path)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || !slices.Equal(got[0].names, test.names) || len(got[0].layers) != test.layers || len(got[0].diffs) != test.layers {
				t.Errorf("got %+v, want names %v and %d layers", got, test.names, test.layers)
			}
		})
	}
}

func TestParseRefusesWithAReason(t *testing.T) {
	layer := string(tarBytes(t, entry{name: "hello"}))
	docker := func(conf string, layers ...string) []byte {
		return tarBytes(t, entry{name: "c", content: conf}, entry{name: "l", content: layer},
			entry{name: "manifest.json", content: text(t, []map[string]any{{"Config": "c", "RepoTags": []string{"a"}, "Layers": layers}})})
	}
	damaged := ociLayout(t, nil)
	for i := range damaged {
		damaged[i].content = strings.Replace(damaged[i].content, `"os":"linux"`, `"os":"plan9"`, 1)
	}
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"nothing":             {nil, "empty"},
		"text":                {[]byte(strings.Repeat("no archive ", 100)), "not a tar archive"},
		"other tar":           {tarBytes(t, entry{name: "hello", content: "world"}), "neither manifest.json"},
		"broken gzip":         {[]byte("\x1f\x8bgarbage"), "gzip"},
		"missing layer":       {docker(config(t, runtime.GOARCH, layer), "nowhere"), "file does not exist"},
		"other machine":       {docker(config(t, "mips", layer), "l"), "linux/mips"},
		"other layer count":   {docker(config(t, runtime.GOARCH, layer, layer), "l"), "2 layers, the manifest 1"},
		"no JSON":             {tarBytes(t, entry{name: "manifest.json", content: "{"}), "manifest.json"},
		"huge manifest":       {tarBytes(t, entry{name: "manifest.json", content: strings.Repeat(" ", configLimit+1)}), "limit"},
		"link to itself":      {tarBytes(t, entry{name: "manifest.json", link: "manifest.json"}), "too many links"},
		"path out of archive": {docker(config(t, runtime.GOARCH, layer), "../../etc/passwd"), "file does not exist"},
		"damaged OCI":         {tarBytes(t, damaged...), "damaged"},
		"bad digest":          {tarBytes(t, entry{name: "index.json", content: `{"manifests":[{"digest":"sha256:../../x"}]}`}), "digest"},
		"no platform":         {tarBytes(t, entry{name: "index.json", content: `{"manifests":[{"platform":{"os":"plan9"}}]}`}), "no image for linux"},
	} {
		if got, err := parseFile(t, write(t, test.content)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %+v, %v; want an error with %q", name, got, err, test.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(tarBytes(f, dockerArchive(f)...))
	f.Add(tarBytes(f, ociLayout(f, nil)...))
	f.Add(gz(f, tarBytes(f, dockerArchive(f)...)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		archive, err := openTar(inMemory{bytes.NewReader(raw)}, scratch{dir: t.TempDir(), max: 1 << 20})
		if err != nil {
			return
		}
		defer archive.Close()
		bundles, err := parse(newSource(archive, 1<<20))
		if err != nil {
			return
		}
		for _, b := range bundles {
			if len(b.diffs) != len(b.layers) {
				t.Errorf("%d diffs for %d layers", len(b.diffs), len(b.layers))
			}
			for _, name := range b.names {
				if again, err := Normalize(name); err != nil || again != name {
					t.Errorf("name %q is not a full name: %q, %v", name, again, err)
				}
			}
		}
	})
}
