package check

import (
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

func read(errs field.ErrorList) string {
	var all []string
	for _, err := range errs {
		all = append(all, err.Error())
	}
	return strings.Join(all, "\n")
}

func TestPathsOfFiles(t *testing.T) {
	const relative, back, start = "must be a relative path", "must not contain '..'", "must not start with '..'"
	for path, want := range map[string][]string{
		"a": nil, "a/b.c": nil, "a..b": nil, "a/..b": nil, "...": {start}, ".": nil, "a//b": nil,
		"/a": {relative}, "..": {back, start}, "../a": {back}, "..a": {start}, "a/..": {back}, "a/../b": {back}, "/..": {relative, back},
	} {
		var got []string
		for _, err := range VolumeFile(path, field.NewPath("p")) {
			got = append(got, err.Detail)
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// FuzzVolumeFile holds that a path that is accepted stays in the volume.
func FuzzVolumeFile(f *testing.F) {
	for _, path := range []string{"a", "a/b", "../a", "a/../../b", "/a", "..", "a/./b", "a\\..\\b", "a\x00b"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if path != "" && len(VolumeFile(path, nil)) == 0 && !filepath.IsLocal(path) {
			t.Errorf("%q leaves the volume", path)
		}
	})
}

func TestModes(t *testing.T) {
	at := field.NewPath("mode")
	for mode, want := range map[int32][2]bool{
		-1: {false, false}, 0: {true, true}, 0o777: {true, true}, 0o1000: {false, true}, 0o1777: {false, true}, 0o2000: {false, false},
	} {
		if file, dir := len(Mode(&mode, at)) == 0, len(DirMode(&mode, at)) == 0; file != want[0] || dir != want[1] {
			t.Errorf("%#o: taken for a file %v, for a directory %v", mode, file, dir)
		}
	}
	if errs := append(Mode(nil, at), DirMode(nil, at)...); len(errs) > 0 {
		t.Errorf("no mode: %v", errs)
	}
}

func TestOneOfAList(t *testing.T) {
	type word string
	at := field.NewPath("w")
	empty := word("")
	for _, c := range []struct {
		got  field.ErrorList
		want string
	}{
		{OneOf(at, word("a"), "a", "b"), ""}, {OneOf(at, empty, "a"), "w: Required value"},
		{OneOf(at, word("c"), "b", "a"), `w: Unsupported value: "c": supported values: "b", "a"`},
		{SupportedIfSet[word](at, nil, "a"), ""}, {SupportedIfSet(at, &empty, "a"), `w: Unsupported value: "": supported values: "a"`},
		{SubdomainIfSet(nil, at), ""}, {Required("", at), "w: Required value"}, {Required("x", at), ""},
		{RequiredList(0, at), "w: Required value"}, {RequiredList(1, at), ""},
		{NonNegative(-1, at), "w: Invalid value: -1: must be greater than or equal to 0"}, {NonNegative(0, at), ""},
	} {
		if got := read(c.got); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
