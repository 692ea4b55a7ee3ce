package images

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// manifest is a docker archive's manifest.json of images without layers.
func manifest(t testing.TB, images, names, layers int) entry {
	t.Helper()
	img := map[string]any{"Config": "c", "RepoTags": slicesOf("a:1", names), "Layers": slicesOf("l", layers)}
	return entry{name: "manifest.json", content: text(t, slicesOf(img, images))}
}

func slicesOf[T any](value T, n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = value
	}
	return all
}

// indexes is an OCI layout of indexes within indexes.
func indexes(t testing.TB, deep int) (all []entry) {
	t.Helper()
	inner := []byte(text(t, v1.Index{Manifests: []v1.Descriptor{{Digest: digest.FromString("nowhere")}}}))
	for range deep {
		d := digest.FromBytes(inner)
		all = append(all, entry{name: "blobs/sha256/" + d.Encoded(), content: string(inner)})
		inner = []byte(text(t, v1.Index{Manifests: []v1.Descriptor{{Digest: d}}}))
	}
	return append(all, entry{name: "index.json", content: string(inner)})
}

// wide is a zstd frame that asks for a window of 1<<log bytes: its header (RFC 8878,
// 3.1.1.1) and one block of the content as it is.
func wide(content []byte, log int) string {
	block := len(content)<<3 | 1 // raw, the last
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, byte(log-10) << 3, byte(block), byte(block >> 8), byte(block >> 16)}
	return string(append(frame, content...))
}

func TestWhatAnArchiveHoldsIsCountedBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	conf := entry{name: "c", content: config(t, runtime.GOARCH)}
	layer := func(content string) []entry {
		return []entry{conf, manifest(t, 1, 1, 1), {name: "l", content: content}}
	}
	longPath := string(tarBytes(t, entry{name: strings.Repeat("a/", pathLimit/2) + "b"}))
	longNames := make([]entry, 20)
	for i := range longNames {
		longNames[i].name = strings.Repeat("a/", memberNames/34) + fmt.Sprint(i)
	}
	longLink := string(tarBytes(t, entry{name: "a", link: strings.Repeat("a/", pathLimit)}))
	members := make([]entry, memberLimit+1)
	for i := range members {
		members[i].name = fmt.Sprint(i)
	}
	huge := entry{name: "c", content: `{"os":"linux","architecture":"` + runtime.GOARCH + `","author":"` + strings.Repeat("x", configLimit-100) + `"}`}
	for name, test := range map[string]struct {
		entries []entry
		want    string
	}{
		"values":            {[]entry{{name: "manifest.json", content: "[" + strings.Repeat("{},", valueLimit) + "{}]"}}, "values"},
		"values of a list":  {[]entry{{name: "index.json", content: `{"manifests":[` + strings.Repeat("[", 2*valueLimit) + `]}`}}, "values"},
		"values, escaped":   {[]entry{{name: "index.json", content: `{"a":"\\",` + strings.Repeat("[],", valueLimit)}}, "values"},
		"config's values":   {[]entry{{name: "c", content: `{"history":[` + strings.Repeat("{},", valueLimit) + `{}]}`}, manifest(t, 1, 1, 0)}, "values"},
		"images":            {[]entry{conf, manifest(t, imageLimit+1, 0, 0)}, "images"},
		"images, OCI":       {[]entry{{name: "index.json", content: text(t, v1.Index{Manifests: make([]v1.Descriptor, imageLimit+1)})}}, "images"},
		"names":             {[]entry{conf, manifest(t, 1, nameLimit+1, 0)}, "names"},
		"names together":    {[]entry{conf, manifest(t, 2, nameLimit/2+1, 0)}, "names"},
		"layers":            {[]entry{conf, manifest(t, 1, 1, layerLimit+1)}, "layers"},
		"documents":         {[]entry{huge, manifest(t, documentLimit/configLimit+1, 1, 0)}, "manifests and configurations"},
		"indexes":           {indexes(t, indexDepth+1), "indexes within indexes"},
		"members":           {members, "more files"},
		"names of members":  {longNames, "more files"},
		"path of a file":    {layer(longPath), "path"},
		"target of a link":  {layer(longLink), "path"},
		"window":            {layer(wide(tarBytes(t, entry{name: "a"}), 28)), "window"},
		"layer that is cut": {layer("\x1f\x8b\x08"), "gzip"},
		"layer of no type":  {layer("no layer"), "not a tar archive"},
	} {
		got, err := parseFile(t, write(t, tarBytes(t, test.entries...)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %+v, %v; want an error with %q", name, got, err, test.want)
		}
	}
}

func TestWhatIsBelowTheLimitsIsTaken(t *testing.T) {
	t.Parallel()
	content := tarBytes(t, entry{name: strings.Repeat("a/", pathLimit/2-1) + "b", content: "hello"})
	c := v1.Image{Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH}, RootFS: v1.RootFS{DiffIDs: []digest.Digest{digest.FromBytes(content)}}}
	got, err := parseFile(t, write(t, tarBytes(t, entry{name: "c", content: text(t, c)},
		manifest(t, 3, nameLimit/3, 1), entry{name: "l", content: wide(content, 27)})))
	if err != nil || len(got) != 3 {
		t.Errorf("%d images, %v", len(got), err)
	}
	if _, err := parseFile(t, write(t, tarBytes(t, indexes(t, indexDepth-1)...))); err == nil || strings.Contains(err.Error(), "within") {
		t.Errorf("indexes within the limit: %v, want that a blob is missing", err)
	}
}

func TestFilesOfLayersAreCounted(t *testing.T) {
	t.Parallel()
	f, err := openTar(inMemory{bytes.NewReader(tarBytes(t, dockerArchive(t)...))}, scratch{})
	if err != nil {
		t.Fatal(err)
	}
	s := newSource(f, DefaultMaxSize)
	s.entries = entryLimit
	if _, err := parse(s); err == nil || !strings.Contains(err.Error(), "files, the limit") {
		t.Errorf("error %v", err)
	}
}

func TestOnlyFilesAreRead(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"manifest.json", "index.json"} {
		dir := t.TempDir()
		if err := unix.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := parseFile(t, dir); err == nil || !strings.Contains(err.Error(), "is not a file") {
			t.Errorf("a pipe for %s: %v", name, err)
		}
		if _, err := parseFile(t, filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), "neither a file nor a directory") {
			t.Errorf("a pipe for the archive: %v", err)
		}
	}
	if _, err := parseFile(t, "/dev/zero"); err == nil || !strings.Contains(err.Error(), "neither a file nor a directory") {
		t.Errorf("a device: %v", err)
	}
	dir := t.TempDir()
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "manifest.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := parseFile(t, dir); err == nil || !strings.Contains(err.Error(), "escapes") {
		t.Errorf("a link out of the directory: %v", err)
	}
}

func TestASparseMemberIsRefused(t *testing.T) {
	t.Parallel()
	records := map[string]string{"GNU_sparse_major": "1", "GNU_sparse_minor": "0", "GNU_sparse_name": "l", "GNU_sparse_realsize": "1099511627776"}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: "s", Size: 512, Mode: 0o644, Format: tar.FormatPAX, PAXRecords: records}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(append([]byte("1\n0\n0\n"), make([]byte, 506)...)); err != nil {
		t.Fatal(err)
	}
	raw := bytes.ReplaceAll(buf.Bytes(), []byte("GNU_sparse_"), []byte("GNU.sparse."))
	if _, err := openTar(inMemory{bytes.NewReader(raw)}, scratch{}); err == nil || !strings.Contains(err.Error(), "sparse") {
		t.Errorf("error %v", err)
	}
}

func TestADiskWithoutRoomIsNotFilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m,nr_inodes=1000"); err != nil {
		t.Fatalf("mounting tmpfs (needs root): %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	for _, test := range []struct {
		need need
		want string
	}{
		{need{50 << 20, 900}, ""}, {need{}, ""},
		{need{62 << 20, 1}, "62Mi are needed and 64Mi are free on the disk of the data directory, of which 3355443 are kept free"},
		{need{1 << 20, 980}, "980 files are to be made"},
	} {
		err := disk{dir}.room(test.need)
		if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "image rm")) {
			t.Errorf("%+v: %v, want %q", test.need, err, test.want)
		}
	}
	big := gz(t, make([]byte, 80<<20))
	if _, err := openTar(inMemory{bytes.NewReader(big)}, scratch{dir, 1 << 30}); err == nil || !strings.Contains(err.Error(), "are needed") {
		t.Errorf("a large archive: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
