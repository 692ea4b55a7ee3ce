// Package page holds parts of documents equal to the code that they tell of.
//
// It owns the marks around such a part and how one is written anew. What stands in a part
// is said by the test that calls it, beside the code.
package page

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeVariable in the environment has Hold write the part instead of complaining.
const writeVariable = "LATERNA_WRITE_PAGES"

// Hold fails unless the part of that name of a document is what the code says. file is the
// document's path in the repository; the part stands between the lines
//
//	<!-- generated: NAME -->
//	<!-- end: NAME -->
func Hold(t testing.TB, file, name, want string) {
	t.Helper()
	path := filepath.Join(root(t), file)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(raw), "<!-- generated: "+name+" -->\n")
	got, after, ended := strings.Cut(rest, "<!-- end: "+name+" -->\n")
	want = "\n" + strings.TrimSpace(want) + "\n\n"
	switch {
	case !begun || !ended:
		t.Fatalf("%s has no part between the lines <!-- generated: %s --> and <!-- end: %s -->", file, name, name)
	case got == want:
	case os.Getenv(writeVariable) != "":
		text := before + "<!-- generated: " + name + " -->\n" + want + "<!-- end: " + name + " -->\n" + after
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s does not tell what the code does; run make pages. The part %q must be\n%s", file, name, want)
	}
}

// root is the repository's directory, which tests run below.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
	}
	t.Fatal("not in the repository: no directory above has a go.mod")
	return ""
}
