package arch_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// levelTable is the table of levels as ARCHITECTURE.md shows it: without internal/, and
// what stands together in a wing once.
func levelTable() string {
	wings := map[int]map[string][]string{}
	for _, l := range levels {
		wing, name := path.Split(strings.TrimPrefix(l.tree, "internal/"))
		if wings[l.level] == nil {
			wings[l.level] = map[string][]string{}
		}
		wings[l.level][wing] = append(wings[l.level][wing], name)
	}
	var b strings.Builder
	b.WriteString("| level | packages of `internal` and, from the top, `api`, `boundtoken`, `laternatest`, `projection`, `cmd`, `test` |\n|---|---|\n")
	for _, n := range slices.Sorted(maps.Keys(wings)) {
		var shown []string
		for _, wing := range slices.Sorted(maps.Keys(wings[n])) {
			names := slices.Sorted(slices.Values(wings[n][wing]))
			switch {
			case wing == "":
				shown = append(shown, names...)
			case len(names) == 1:
				shown = append(shown, wing+names[0])
			default:
				shown = append(shown, wing+"{"+strings.Join(names, ",")+"}")
			}
		}
		fmt.Fprintf(&b, "| %d | `%s` |\n", n, strings.Join(shown, "`, `"))
	}
	return b.String()
}

func TestArchitectureShowsTheLevels(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(text), "\n## Levels\n")
	shown, _, _ = strings.Cut(shown, "\n\n")
	if want := levelTable(); shown+"\n" != want {
		t.Errorf("the section Levels of ARCHITECTURE.md is not the table in levels_test.go; it must be\n%s", want)
	}
}

// TestArchitectureNamesWhatIsThere holds that the files and folders that ARCHITECTURE.md
// names from the top are there.
func TestArchitectureNamesWhatIsThere(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:internal|projection|boundtoken|docs|cmd|test)/[a-z0-9_/.-]+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 20 {
		t.Fatalf("only %d names found", len(named))
	}
	for _, n := range named {
		if _, err := os.Stat("../../" + n[1]); err != nil {
			t.Errorf("%s is named and not there", n[1])
		}
	}
}
