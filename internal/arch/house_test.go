package arch_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Files may have maxLines; from wideLines on the test's log names them.
const wideLines, maxLines = 500, 800

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" && !within(p.tree(), "internal/generated") {
			t.Errorf("%s has no package comment", p.tree())
		}
		if name := path.Base(p.ImportPath); slices.Contains([]string{"util", "utils", "common", "helpers", "helper", "misc"}, name) {
			t.Errorf("%s: %q says nothing about what the package owns", p.tree(), name)
		}
	}
}

// files calls f with every Go file of ours that people write.
func files(t *testing.T, f func(name string, src []byte)) {
	t.Helper()
	for _, p := range packages(t) {
		if within(p.tree(), "internal/generated") {
			continue
		}
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles, p.IgnoredGoFiles) {
			src, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			f(p.tree()+"/"+name, src)
		}
	}
}

func TestFilesStayShort(t *testing.T) {
	files(t, func(name string, src []byte) {
		switch n := bytes.Count(src, []byte("\n")); {
		case n > maxLines:
			t.Errorf("%s has %d lines, more than %d: split it", name, n, maxLines)
		case n > wideLines:
			t.Logf("%s has %d lines, more than %d: think of splitting it", name, n, wideLines)
		}
	})
}

// maxFunction is how many lines a function may have outside tests.
const maxFunction = 80

func TestFunctionsStayShort(t *testing.T) {
	files(t, func(name string, src []byte) {
		if strings.HasSuffix(name, "_test.go") || isTestOnly(name) {
			return
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1; n > maxFunction {
				t.Errorf("%s: %s has %d lines, more than %d: split it", name, f.Name.Name, n, maxFunction)
			}
		}
	})
}

// forbidden are calls that may not stand outside tests, and why.
var forbidden = map[string]string{
	"time.Sleep":         "wait for an event or for the injected clock",
	"context.TODO":       "pass the caller's context",
	"context.Background": "only main and internal/app begin contexts",
}

// clocks are calls that ask the machine for the time or wait by it, wherever they stand.
var clocks = []string{
	"time.Now", "time.Since", "time.Until", "time.After", "time.AfterFunc", "time.NewTimer", "time.NewTicker", "time.Tick",
	"clock.Real", "clock.RealClock", "baseclock.RealClock",
}

// mayAskTheTime are the trees that may, and why; all others are given a clock.
var mayAskTheTime = map[string]string{
	"internal/clock":             "it is the machine's clock",
	"internal/app":               "it puts the system together",
	"internal/cli":               "commands are put together there",
	"cmd":                        "programs begin there",
	"projection/atomicdir":       "its users need not give it a clock",
	"boundtoken/discovery":       "its users need not give it a clock",
	"internal/registry/resource": "the age that a table shows, as upstream's",
	"internal/registry/projection/podprojection": "the age that a table shows, as upstream's",
}

func TestTimeComesFromTheInjectedClock(t *testing.T) {
	used := map[string]bool{}
	files(t, func(name string, src []byte) {
		if strings.HasSuffix(name, "_test.go") || isTestOnly(name) {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call := selector(n)
			if !slices.Contains(clocks, call) {
				return true
			}
			for tree := range mayAskTheTime {
				if within(name, tree) {
					used[tree] = true
					return true
				}
			}
			t.Errorf("%s uses %s: take a clock.API or a clock.Wall, and make none", name, call)
			return true
		})
	})
	for tree := range mayAskTheTime {
		if !used[tree] && tree != "cmd" {
			t.Errorf("%s may ask for the time and does not: take it out", tree)
		}
	}
}

// mayBegin are the trees where a context may begin.
var mayBegin = []string{"cmd", "internal/cli", "internal/app", "laternatest"}

func TestForbiddenCalls(t *testing.T) {
	files(t, func(name string, src []byte) {
		if strings.HasSuffix(name, "_test.go") || isTestOnly(name) {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s has an init function: register explicitly", name)
			}
			if call := selector(n); forbidden[call] != "" && !exempt(name, call) {
				t.Errorf("%s calls %s: %s", name, call, forbidden[call])
			}
			return true
		})
	})
}

func exempt(name, call string) bool {
	if call != "context.Background" {
		return false
	}
	return slices.ContainsFunc(mayBegin, func(tree string) bool { return within(name, tree) })
}

// selector returns "pkg.Name" for such an expression, else "".
func selector(n ast.Node) string {
	s, ok := n.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := s.X.(*ast.Ident); ok {
		return x.Name + "." + s.Sel.Name
	}
	return ""
}

func isTestOnly(path string) bool {
	return slices.ContainsFunc(testOnly, func(tree string) bool { return within(path, tree) })
}

func TestProgramsDoNotUseWhatIsForTests(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			if isTestOnly(strings.TrimPrefix(imp, module+"/")) && !isTestOnly(p.tree()) {
				t.Errorf("%s imports %s, which is for tests only", p.tree(), imp)
			}
		}
	}
}
