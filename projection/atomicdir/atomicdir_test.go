package atomicdir_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"laterna.dev/laterna/projection/atomicdir"
)

func ptr(n int64) *int64 { return &n }

func open(t *testing.T, dir string) *atomicdir.Dir {
	t.Helper()
	d, err := atomicdir.Open(dir, atomicdir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func publish(t *testing.T, d *atomicdir.Dir, tree atomicdir.Tree) atomicdir.Result {
	t.Helper()
	r, err := d.Publish(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// files makes a tree of path, content pairs with mode 0644.
func files(pairs ...string) (t atomicdir.Tree) {
	for i := 0; i < len(pairs); i += 2 {
		t.Files = append(t.Files, atomicdir.File{Path: pairs[i], Data: []byte(pairs[i+1]), Mode: 0o644})
	}
	return t
}

// visible reads every file as a user of the directory sees it, through the links.
func visible(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		top, err := filepath.EvalSymlinks(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(top, func(path string, de fs.DirEntry, err error) error {
			if err != nil || de.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			got[filepath.ToSlash(e.Name()+strings.TrimPrefix(path, top))] = string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func wantVisible(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if got := visible(t, dir); !maps.Equal(got, want) {
		t.Errorf("visible files:\n got %q\nwant %q", got, want)
	}
}

func entryNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func generations(t *testing.T, dir string) []string {
	t.Helper()
	return slices.DeleteFunc(entryNames(t, dir), func(n string) bool {
		return !strings.HasPrefix(n, "..") || strings.HasPrefix(n, "..data")
	})
}

func TestLayoutIsThatOfKubernetes(t *testing.T) {
	dir := t.TempDir()
	r := publish(t, open(t, dir), files("a", "1", "user/labels", "2", "k8s/x/y", "3"))
	if !r.Changed || !regexp.MustCompile(`^\.\.\d{4}(_\d\d){5}\.\d+$`).MatchString(r.Generation) {
		t.Errorf("result %+v", r)
	}
	want := []string{r.Generation, "..data", "a", "k8s", "user"}
	if got := entryNames(t, dir); !slices.Equal(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
	for link, target := range map[string]string{"..data": r.Generation, "a": "..data/a", "k8s": "..data/k8s", "user": "..data/user"} {
		if got, err := os.Readlink(filepath.Join(dir, link)); err != nil || filepath.ToSlash(got) != target {
			t.Errorf("%s -> %q, %v; want %q", link, got, err, target)
		}
	}
	wantVisible(t, dir, map[string]string{"a": "1", "user/labels": "2", "k8s/x/y": "3"})
}

func TestUpdates(t *testing.T) {
	for _, tc := range []struct {
		name          string
		before, after atomicdir.Tree
		want          map[string]string
		changed       bool
	}{
		{"content", files("a", "1", "b", "2"), files("a", "1", "b", "3"), map[string]string{"a": "1", "b": "3"}, true},
		{"one more", files("a", "1"), files("a", "1", "b", "2"), map[string]string{"a": "1", "b": "2"}, true},
		{"one less", files("a", "1", "b", "2"), files("b", "2"), map[string]string{"b": "2"}, true},
		{"last of a folder", files("a", "1", "d/b", "2"), files("a", "1"), map[string]string{"a": "1"}, true},
		{"one of a folder", files("d/a", "1", "d/b", "2"), files("d/b", "2"), map[string]string{"d/b": "2"}, true},
		{"file becomes folder", files("a", "1"), files("a/b", "2"), map[string]string{"a/b": "2"}, true},
		{"all go", files("a", "1", "d/b", "2"), files(), map[string]string{}, true},
		{"from nothing", files(), files("a", "1"), map[string]string{"a": "1"}, true},
		{"empty file", files("a", "1"), files("a", ""), map[string]string{"a": ""}, true},
		{"same", files("a", "1", "d/b", "2"), files("d/b", "2", "a", "1"), map[string]string{"a": "1", "d/b": "2"}, false},
		{"same, other spelling", files("d/b", "2"), files("d/./b", "2"), map[string]string{"d/b": "2"}, false},
		{"later wins", files(), files("a", "1", "./a", "2"), map[string]string{"a": "2"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			d := open(t, dir)
			publish(t, d, tc.before)
			if r := publish(t, d, tc.after); r.Changed != tc.changed {
				t.Errorf("changed = %v, want %v", r.Changed, tc.changed)
			}
			wantVisible(t, dir, tc.want)

			// The same once more, by a writer that knows nothing of the first.
			d.Close()
			if r := publish(t, open(t, dir), tc.after); r.Changed {
				t.Error("a new writer rewrote what was published")
			}
			wantVisible(t, dir, tc.want)
		})
	}
}

func TestModeOrOwnerAloneIsPublished(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes or numeric owners")
	}
	base := atomicdir.File{Path: "d/a", Data: []byte("x"), Mode: 0o644}
	variants := map[string]func(*atomicdir.Tree){
		"mode": func(t *atomicdir.Tree) { t.Files[0].Mode = 0o777 },
	}
	if os.Geteuid() == 0 {
		variants["user"] = func(t *atomicdir.Tree) { t.Files[0].UID = ptr(1000) }
		variants["group"] = func(t *atomicdir.Tree) { t.Files[0].GID = ptr(2000) }
		variants["directories' group"] = func(t *atomicdir.Tree) { t.Group = ptr(3000) }
	}
	for name, change := range variants {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := open(t, dir)
			before := atomicdir.Tree{Files: []atomicdir.File{base}}
			after := atomicdir.Tree{Files: []atomicdir.File{base}}
			change(&after)
			for i, tree := range []atomicdir.Tree{before, after, before} {
				if r := publish(t, d, tree); !r.Changed {
					t.Errorf("publication %d changed nothing", i)
				}
				if r := publish(t, d, tree); r.Changed {
					t.Errorf("publication %d was repeated", i)
				}
			}
			d.Close()
			if r := publish(t, open(t, dir), after); !r.Changed {
				t.Error("a new writer did not see the difference")
			}
		})
	}
}

func TestTamperedFilesAreMended(t *testing.T) {
	tree := files("a", "1", "d/b", "2")
	for name, tamper := range map[string]func(dir string) error{
		"content":      func(dir string) error { return os.WriteFile(dir+"/a", []byte("x"), 0o644) },
		"missing file": func(dir string) error { return os.Remove(dir + "/..data/d/b") },
		"extra file":   func(dir string) error { return os.WriteFile(dir+"/..data/d/c", nil, 0o644) },
		"extra folder": func(dir string) error { return os.Mkdir(dir+"/..data/e", 0o755) },
		"file for link": func(dir string) error {
			return errors.Join(os.Remove(dir+"/..data/a"), os.Symlink("d/b", dir+"/..data/a"))
		},
		"data link": func(dir string) error {
			return errors.Join(os.Remove(dir+"/..data"), os.Symlink("/etc", dir+"/..data"))
		},
		"no data link": func(dir string) error { return os.Remove(dir + "/..data") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := open(t, dir)
			publish(t, d, tree)
			if err := tamper(dir); err != nil {
				t.Fatal(err)
			}
			if r := publish(t, d, tree); !r.Changed {
				t.Error("not noticed")
			}
			wantVisible(t, dir, map[string]string{"a": "1", "d/b": "2"})
		})
	}
}

func TestLinksAreMendedWithoutRewriting(t *testing.T) {
	tree := files("a", "1", "d/b", "2")
	for name, tamper := range map[string]func(dir string) error{
		"missing": func(dir string) error { return os.Remove(dir + "/d") },
		"wrong":   func(dir string) error { return errors.Join(os.Remove(dir+"/a"), os.Symlink("/etc/passwd", dir+"/a")) },
		"stale":   func(dir string) error { return os.Symlink("..data/gone", dir+"/gone") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := open(t, dir)
			first := publish(t, d, tree)
			if err := tamper(dir); err != nil {
				t.Fatal(err)
			}
			if r := publish(t, d, tree); r.Changed || r.Generation != first.Generation {
				t.Errorf("rewritten: %+v", r)
			}
			wantVisible(t, dir, map[string]string{"a": "1", "d/b": "2"})
		})
	}
}

func TestForeignEntriesStay(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"mounted", "..other"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("elsewhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	d := open(t, dir)
	publish(t, d, files("mounted", "hidden by the mount", "a", "1"))
	publish(t, d, files("a", "2"))
	for _, name := range []string{"mounted", "..other", "link"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "a")); string(got) != "2" {
		t.Errorf("a = %q", got)
	}
}

func TestCheckPath(t *testing.T) {
	long := strings.Repeat("x", 255)
	for _, tc := range []struct{ path, want string }{
		{"a", ""}, {"a/b/c", ""}, {"a//b", ""}, {"a/./b", ""}, {".a", ""}, {"a..b", ""}, {"a/..b", ""}, {"...a/b", "must not start with '..'"},
		{"", "must not be empty"}, {".", "must not be empty"}, {"./", "must not be empty"},
		{"/a", "must be relative path"}, {"/", "must be relative path"},
		{"..", "must not contain '..'"}, {"a/..", "must not contain '..'"}, {"a/../b", "must not contain '..'"}, {"../a", "must not contain '..'"},
		{"..a", "must not start with '..'"}, {"..data", "must not start with '..'"}, {"./..data", "must not start with '..'"}, {"..data/a", "must not start with '..'"},
		{long, ""}, {"a/" + long, ""}, {long + "x", "filenames must be less than or equal to 255 characters"},
		{strings.Repeat("ab/", 1365) + "a", ""}, {strings.Repeat("ab/", 1366) + "a", "must be less than or equal to 4096 characters"},
		{"a\x00b", "must not contain a zero byte"},
	} {
		err := atomicdir.CheckPath(tc.path)
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%.40q: %v", tc.path, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !errors.Is(err, atomicdir.ErrPath)):
			t.Errorf("%.40q: %v, want %q", tc.path, err, tc.want)
		}
	}
}

func TestBadTreesChangeNothing(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	publish(t, d, files("a", "1"))
	for _, bad := range []atomicdir.Tree{files("b", "2", "../x", "3"), files("a", "1", "a/b", "2"), files("a/b/c", "1", "a/b", "2")} {
		if r, err := d.Publish(t.Context(), bad); !errors.Is(err, atomicdir.ErrPath) || r.Changed {
			t.Errorf("%+v, %v", r, err)
		}
	}
	wantVisible(t, dir, map[string]string{"a": "1"})
}

func TestClosedAndMissing(t *testing.T) {
	d := open(t, t.TempDir())
	d.Close()
	if _, err := d.Publish(context.Background(), files("a", "1")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := d.Purge(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Purge after Close: %v", err)
	}
	if _, err := atomicdir.Open(filepath.Join(t.TempDir(), "none"), atomicdir.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
}

// FuzzOpen puts an entry of any name into a published directory, as a hostile or
// crashed process may, and holds that opening keeps what is published and removes
// nothing but generations.
func FuzzOpen(f *testing.F) {
	for _, name := range []string{"a", "..data_tmp", "..2026_01_01_00_00_00.1", "..2030_01_01_00_00_00.99", "..staged_2026_01_01_00_00_00.5", "..staged_", "..staged_x", "x"} {
		for kind := range byte(3) {
			f.Add(name, kind)
		}
	}
	f.Fuzz(func(t *testing.T, name string, kind byte) {
		if atomicdir.CheckPath("x"+name) != nil || strings.ContainsAny(name, "/\\") || name == "" || len(name) > 250 {
			return
		}
		dir, elsewhere := t.TempDir(), t.TempDir()
		d := open(t, dir)
		first := publish(t, d, files("f", "1"))
		d.Close()
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil {
			return
		}
		var err error
		switch kind % 3 {
		case 0:
			err = os.WriteFile(path, nil, 0o644)
		case 1:
			err = os.MkdirAll(path+"/deep/er", 0o755)
		case 2:
			err = os.Symlink(elsewhere, path)
		}
		if err != nil {
			return
		}
		d = open(t, dir)
		if got := read(t, dir, "f"); got != "1" {
			t.Fatalf("%q: f = %q", name, got)
		}
		if r := publish(t, d, files("f", "1")); r.Changed || r.Generation != first.Generation {
			t.Errorf("%q: %+v", name, r)
		}
		ours := strings.HasPrefix(name, "..staged_") || strings.HasPrefix(name, "..data") || regexp.MustCompile(`^\.\.\d{4}(_\d\d){5}\.\d+$`).MatchString(name)
		if _, err := os.Lstat(path); err != nil && !ours {
			t.Errorf("%q was removed", name)
		}
		if entries, err := os.ReadDir(elsewhere); err != nil || len(entries) != 0 {
			t.Errorf("%q: %v, %v", name, entries, err)
		}
	})
}

// FuzzPublish holds that whatever the path is, nothing appears outside the directory
// and an accepted path is readable with its content.
func FuzzPublish(f *testing.F) {
	for _, p := range []string{"a", "a/b", "../a", "/etc/x", "..data/x", "./..data", "a//b", "a\\..\\..\\b", "a/\x00", strings.Repeat("a/", 300)} {
		f.Add(p, []byte("content"))
	}
	f.Fuzz(func(t *testing.T, p string, data []byte) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "volume")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		d := open(t, dir)
		_, err := d.Publish(t.Context(), atomicdir.Tree{Files: []atomicdir.File{{Path: p, Data: data, Mode: 0o644}}})
		if names := entryNames(t, outer); !slices.Equal(names, []string{"volume"}) {
			t.Fatalf("%q escaped: %q", p, names)
		}
		if (err == nil) != (atomicdir.CheckPath(p) == nil) && !errors.Is(err, fs.ErrInvalid) && err == nil {
			t.Fatalf("%q: published although CheckPath says %v", p, atomicdir.CheckPath(p))
		}
		if err != nil {
			return
		}
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
		if err != nil || string(got) != string(data) {
			t.Fatalf("%q: read %q, %v", p, got, err)
		}
	})
}
