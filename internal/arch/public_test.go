package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// public are the trees that programs of others import.
var public = []string{"api", "boundtoken", "laternatest", "projection"}

// TestPublicSignaturesAreUsable keeps what others cannot import out of what they call.
func TestPublicSignaturesAreUsable(t *testing.T) {
	seen := map[string]bool{}
	files(t, func(name string, src []byte) {
		i := slices.IndexFunc(public, func(tree string) bool { return within(name, tree) })
		if i < 0 || strings.HasSuffix(name, "_test.go") {
			return
		}
		seen[public[i]] = true
		for _, what := range internalNames(t, name, src) {
			t.Errorf("%s: %s is part of what others see, and they cannot import it", name, what)
		}
	})
	for _, tree := range public {
		if !seen[tree] {
			t.Errorf("there is no package in %s: the rule checks nothing", tree)
		}
	}
}

// TestExamplesAreOfUsers: what examples show, programs of others can write.
func TestExamplesAreOfUsers(t *testing.T) {
	shown := map[string]bool{}
	files(t, func(name string, src []byte) {
		public := slices.ContainsFunc(public, func(tree string) bool { return within(name, tree) })
		if !public || !strings.HasPrefix(path.Base(name), "example_") {
			return
		}
		shown[path.Dir(name)] = true
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range file.Imports {
			if strings.Contains(imp.Path.Value, module+"/internal/") {
				t.Errorf("%s imports %s, which others cannot", name, imp.Path.Value)
			}
		}
	})
	for _, p := range packages(t) {
		public := slices.ContainsFunc(public, func(tree string) bool { return within(p.tree(), tree) })
		if public && len(p.GoFiles) > 0 && !shown[p.tree()] {
			t.Errorf("%s is for others and has no example", p.tree())
		}
	}
}

// TestPageShowsTheExamples: every line of Go on the page for users stands in an example.
func TestPageShowsTheExamples(t *testing.T) {
	const page = "docs/go-packages.md"
	text, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	files(t, func(name string, src []byte) {
		if strings.HasPrefix(path.Base(name), "example_") {
			for line := range strings.Lines(string(src)) {
				lines[strings.TrimSpace(line)] = true
			}
		}
	})
	shown, code := 0, false
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "```"):
			code = line == "```go"
		case code:
			shown++
			if !lines[line] {
				t.Errorf("%s shows %q, which is in no example", page, line)
			}
		}
	}
	if shown == 0 {
		t.Errorf("%s shows no Go", page)
	}
}

func TestInternalNamesAreFound(t *testing.T) {
	for decl, want := range map[string]string{
		`func F(a app.Config) {}`:                          "app.Config",
		`func F() (int, *app.Config) { return 0, nil }`:    "app.Config",
		`func (T) F(m map[string][]app.Config) {}`:         "app.Config",
		`func (*T) F() {}; type T struct{ A app.Config }`:  "app.Config",
		`type T struct{ app.Config }`:                      "app.Config",
		`type I interface{ F(func(app.Config)) }`:          "app.Config",
		`type T = app.Config`:                              "app.Config",
		`type T[C app.Config] struct{}`:                    "app.Config",
		`var V app.Config`:                                 "app.Config",
		`var V = app.Default()`:                            "app.Default",
		`func F() { app.Default() }`:                       "",
		`func f(a app.Config) {}`:                          "",
		`func (t) F(a app.Config) {}`:                      "",
		`type T struct{ a app.Config }`:                    "",
		`type t struct{ A app.Config }`:                    "",
		`const most = app.Most`:                            "",
		`const Most = app.Most`:                            "",
		`type I interface{ f(app.Config) }`:                "",
		`func F(a boundtoken.Key) {}`:                      "",
		`type T struct{ A int; b struct{ C app.Config } }`: "",
	} {
		src := "package p\n\nimport (\n\t\"" + module + "/boundtoken\"\n\t\"" + module + "/internal/app\"\n)\n\n" + decl + "\n"
		if got := strings.Join(internalNames(t, "p.go", []byte(src)), " "); got != want {
			t.Errorf("%s: found %q, want %q", decl, got, want)
		}
	}
}

// internalNames returns the names of internal packages in what a file exports. Constants
// have values, so they do not count.
func internalNames(t *testing.T, name string, src []byte) (found []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	internal := map[string]bool{}
	for _, imp := range file.Imports {
		from, _ := strconv.Unquote(imp.Path.Value)
		if !strings.HasPrefix(from, module+"/internal/") {
			continue
		}
		local := path.Base(from)
		if imp.Name != nil {
			local = imp.Name.Name
		}
		internal[local] = true
	}
	for _, d := range file.Decls {
		for _, n := range exported(d) {
			hidden := map[ast.Node]bool{}
			ast.Inspect(n, func(n ast.Node) bool {
				hide(n, hidden)
				if s := selector(n); s != "" && internal[strings.Split(s, ".")[0]] {
					found = append(found, s)
				}
				return !hidden[n]
			})
		}
	}
	return found
}

// exported returns those parts of a declaration that others see.
func exported(d ast.Decl) (nodes []ast.Node) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && (d.Recv == nil || receiver(d.Recv.List[0].Type).IsExported()) {
			nodes = append(nodes, d.Type)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					nodes = append(nodes, s)
				}
			case *ast.ValueSpec:
				if d.Tok == token.VAR && slices.ContainsFunc(s.Names, (*ast.Ident).IsExported) {
					nodes = append(nodes, s)
				}
			}
		}
	}
	return nodes
}

// receiver returns the name of a receiver's type.
func receiver(x ast.Expr) *ast.Ident {
	switch x := x.(type) {
	case *ast.StarExpr:
		return receiver(x.X)
	case *ast.IndexExpr:
		return receiver(x.X)
	case *ast.Ident:
		return x
	}
	return ast.NewIdent("_")
}

// hide adds the members of a struct or interface that have only names that others do not
// see.
func hide(n ast.Node, hidden map[ast.Node]bool) {
	var members *ast.FieldList
	switch n := n.(type) {
	case *ast.StructType:
		members = n.Fields
	case *ast.InterfaceType:
		members = n.Methods
	default:
		return
	}
	for _, m := range members.List {
		hidden[m] = len(m.Names) > 0 && !slices.ContainsFunc(m.Names, (*ast.Ident).IsExported)
	}
}
