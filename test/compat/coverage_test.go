package compat

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	// behavioursFile is upstream's list of conformance behaviours, by area.
	behavioursFile = "testdata/conformance.tsv"
	coverageFile   = "COVERAGE.md"
)

// areas are those of the list, with the number of behaviours that each has. Every one has a
// test or is left out for a reason.
var areas = map[string]int{
	"1-projection": 111, "2-pods": 66, "3-api-machinery": 106, "4-workloads": 63, "5-network": 47, "6-scheduling": 11, "7-auth": 3, "8-kubectl": 17, "9-node": 15, "10-storage-api": 10,
}

// tags follow the name of a behaviour and say when upstream runs it.
var tags = regexp.MustCompile(` \[(Conformance|NodeConformance|LinuxOnly|Serial|Slow|Disruptive|Projection|Environment:NotInUserNS|MinimumKubeletVersion:[0-9.]+)\]`)

// TestCoverageIsComplete holds COVERAGE.md to the list of behaviours and to the tests
// that this package has.
func TestCoverageIsComplete(t *testing.T) {
	all := behaviours(t)
	tests, served := readTests(t), servedResources(t)
	seen := map[string]bool{}
	covered, leftOut := coverageRows(t)
	for _, row := range slices.Concat(covered, leftOut) {
		switch name := row[0]; {
		case seen[name]:
			t.Errorf("%s: listed twice", name)
		case !slices.Contains(all, name):
			t.Errorf("%s: no such behaviour", name)
		}
		seen[row[0]] = true
	}
	for _, row := range covered {
		name, test := row[0], row[1]
		switch {
		case tests[test] == nil:
			t.Errorf("%s: no test %s in this package", name, test)
		case !tests[test].subtests[tags.ReplaceAllString(name, "")]:
			t.Errorf("%s: %s has no sub-test of that name", name, test)
		case tests[test].skips:
			t.Errorf("%s: %s may skip", name, test)
		}
	}
	for _, row := range leftOut {
		waitsFor := missingResource.FindStringSubmatch(row[1])
		switch {
		case strings.Trim(row[1], " |") == "":
			t.Errorf("%s: left out without a reason", row[0])
		case waitsFor != nil && served[waitsFor[1]]:
			t.Errorf("%s: left out until there are %s, which are served", row[0], waitsFor[1])
		}
	}
	for _, name := range all {
		if !seen[name] {
			t.Errorf("not listed: %s", name)
		}
	}
}

// missingResource is what a behaviour waits for that is left out since it is not served.
var missingResource = regexp.MustCompile("^no `([a-z/]+)`")

// servedResources are the resources that the server has, and what is below them.
func servedResources(t *testing.T) map[string]bool {
	t.Helper()
	_, groups, err := shared.client(t).Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, group := range groups {
		for _, resource := range group.APIResources {
			out[resource.Name] = true
		}
	}
	return out
}

// behaviours reads the list.
func behaviours(t *testing.T) (all []string) {
	t.Helper()
	raw, err := os.ReadFile(behavioursFile)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	_, rows, _ := strings.Cut(string(raw), "\n") // the first line is names of columns
	for line := range strings.Lines(rows) {
		columns := strings.Split(strings.TrimSpace(line), "\t")
		if len(columns) != 5 {
			t.Fatalf("%s: %d columns in %q", behavioursFile, len(columns), line)
		}
		all = append(all, columns[1])
		counts[columns[3]]++
	}
	if !maps.Equal(counts, areas) {
		t.Errorf("the areas have %v behaviours, they have had %v", counts, areas)
	}
	return all
}

// leftOutHeading is above the table of what has no test yet.
const leftOutHeading = "## Left out"

// coverageRows reads the pairs of behaviour and test from the tables, and those of
// behaviour and reason from the table of what is left out.
func coverageRows(t *testing.T) (covered, leftOut [][2]string) {
	t.Helper()
	raw, err := os.ReadFile(coverageFile)
	if err != nil {
		t.Fatal(err)
	}
	rows := &covered
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "## ") {
			rows = &covered
			if strings.TrimSpace(line) == leftOutHeading {
				rows = &leftOut
			}
		}
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| [") && len(cells) == 2 {
			*rows = append(*rows, [2]string{strings.TrimPrefix(cells[0], "| "), strings.TrimSuffix(strings.TrimSpace(cells[1]), " |")})
		}
	}
	return covered, leftOut
}

// testSource is what the sources say of a test function: of itself and of all that it
// uses in this package.
type testSource struct {
	subtests map[string]bool
	skips    bool
}

// readTests reads the package's own sources.
func readTests(t *testing.T) map[string]*testSource {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]ast.Node{}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), entry.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				declared[f.Name.Name] = f
			}
		}
	}
	all := map[string]*testSource{}
	for name := range declared {
		if strings.HasPrefix(name, "Test") && name != "TestMain" {
			all[name] = &testSource{subtests: map[string]bool{}}
			all[name].read(name, declared, map[string]bool{})
		}
	}
	return all
}

// read collects the names of sub-tests, which are literal: the first argument of Run,
// the second of conforms and the field "behaviour" of a table.
func (s *testSource) read(name string, declared map[string]ast.Node, done map[string]bool) {
	if declared[name] == nil || done[name] {
		return
	}
	done[name] = true
	ast.Inspect(declared[name], func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			s.read(n.Name, declared, done)
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "behaviour" {
				s.add(n.Value)
			}
		case *ast.CallExpr:
			method, ok := n.Fun.(*ast.SelectorExpr)
			switch {
			case !ok:
			case method.Sel.Name == "Run" && len(n.Args) == 2:
				s.add(n.Args[0])
			case method.Sel.Name == "conforms" && len(n.Args) == 3:
				s.add(n.Args[1])
			case strings.HasPrefix(method.Sel.Name, "Skip"):
				s.skips = true
			}
		}
		return true
	})
}

func (s *testSource) add(e ast.Expr) {
	if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
		if name, err := strconv.Unquote(literal.Value); err == nil {
			s.subtests[name] = true
		}
	}
}
