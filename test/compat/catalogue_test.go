package compat

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const catalogueFile = "../../docs/catalogue.md"

var (
	catalogueRow = regexp.MustCompile(`^\| ([OEPB]\d+) \|`)
	rowsOfTest   = regexp.MustCompile(`^Test((?:[OEPB]\d+(?:And)?)+)`)
	rowName      = regexp.MustCompile(`[OEPB]\d+`)
	testName     = regexp.MustCompile("`(Test\\w+)`")
)

// TestCatalogueIsComplete holds the last column of docs/catalogue.md to the tests of this
// package that have a row in their names.
func TestCatalogueIsComplete(t *testing.T) {
	raw, err := os.ReadFile(catalogueFile)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{}
	for name := range readTests(t) {
		if rows := rowsOfTest.FindStringSubmatch(name); rows != nil {
			for _, row := range rowName.FindAllString(rows[1], -1) {
				want[row] = append(want[row], name)
			}
		}
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		row := catalogueRow.FindStringSubmatch(line)
		if row == nil {
			continue
		}
		if seen[row[1]] {
			t.Errorf("%s: listed twice", row[1])
		}
		seen[row[1]] = true
		cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(line), " |"), " | ")
		var listed []string
		for _, test := range testName.FindAllStringSubmatch(cells[len(cells)-1], -1) {
			listed = append(listed, test[1])
		}
		slices.Sort(listed)
		slices.Sort(want[row[1]])
		if !slices.Equal(listed, want[row[1]]) {
			t.Errorf("%s: the catalogue names %q, the tests of the row are %q", row[1], listed, want[row[1]])
		}
	}
	for row := range want {
		if !seen[row] {
			t.Errorf("%s: no such row, but %q", row, want[row])
		}
	}
	if len(seen) != 54 {
		t.Errorf("%d rows, the catalogue has had 54", len(seen))
	}
}
