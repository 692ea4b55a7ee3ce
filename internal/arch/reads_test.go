package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// readers owns reads to the end.
const readers = "internal/bounded"

// endless are functions that take a file or a stream to its end, whatever its length,
// by import path.
var endless = map[string][]string{
	"io":         {"ReadAll"},
	"io/ioutil":  {"ReadAll", "ReadFile"},
	"os":         {"ReadFile"},
	"io/fs":      {"ReadFile"},
	"crypto/tls": {"LoadX509KeyPair"},
}

// endlessMethods are names of methods that do, with so many arguments: of os.Root, of
// buffers and of buffered readers. With one more argument they have a bound.
var endlessMethods = map[string]int{"ReadFile": 1, "ReadAll": 0, "ReadFrom": 1, "ReadString": 1, "ReadBytes": 1}

// TestReadsHaveABound keeps a file that somebody else shaped from filling the memory:
// nobody has to judge whose file it is.
func TestReadsHaveABound(t *testing.T) {
	files(t, func(name string, src []byte) {
		if strings.HasSuffix(name, "_test.go") || isTestOnly(name) || within(name, readers) {
			return
		}
		for _, what := range unboundedReads(t, name, src) {
			t.Errorf("%s: %s reads without a bound: use %s", name, what, readers)
		}
	})
}

func TestUnboundedReadsAreFound(t *testing.T) {
	for body, want := range map[string]string{
		`os.ReadFile("x")`:                       "os.ReadFile",
		`f := os.ReadFile; f("x")`:               "os.ReadFile",
		`system.ReadFile("x")`:                   "system.ReadFile",
		`fs.ReadFile(root.FS(), "x")`:            "fs.ReadFile",
		`io.ReadAll(io.LimitReader(r, 1))`:       "io.ReadAll",
		`tls.LoadX509KeyPair("a", "b")`:          "tls.LoadX509KeyPair",
		`root.ReadFile("x")`:                     "ReadFile",
		`f := root.ReadFile; f("x")`:             "ReadFile",
		`a.b().ReadFile("x")`:                    "ReadFile",
		`bufio.NewReader(r).ReadString('\n')`:    "ReadString",
		`b.ReadBytes('\n')`:                      "ReadBytes",
		`buffer.ReadFrom(r)`:                     "ReadFrom",
		`json.NewDecoder(r).Decode(x)`:           "NewDecoder",
		`json.NewDecoder(bytes.NewReader(b))`:    "",
		`yaml.NewDecoder(strings.NewReader(s))`:  "",
		`volume.ReadFile("x", 10)`:               "",
		`manager.ReadFile(uid, "v", "x", limit)`: "",
		`bounded.File("x", 10)`:                  "",
		`scanner.Scan()`:                         "",
	} {
		src := "package p\n\nimport (\n\t\"bufio\"\n\t\"crypto/tls\"\n\t\"io\"\n\t\"io/fs\"\n\t\"os\"\n\tsystem \"os\"\n)\n\nfunc _() { " + body + " }\n"
		if got := strings.Join(unboundedReads(t, "p.go", []byte(src)), " "); got != want {
			t.Errorf("%s: found %q, want %q", body, got, want)
		}
	}
	if got := unboundedReads(t, "p.go", []byte("package p\n\nimport . \"os\"\n")); !slices.Equal(got, []string{`import . "os"`}) {
		t.Errorf("an import into the file's own names: %q", got)
	}
}

func unboundedReads(t *testing.T, name string, src []byte) (found []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{} // of packages in this file → import path
	for _, imp := range file.Imports {
		from, _ := strconv.Unquote(imp.Path.Value)
		local := path.Base(from)
		if imp.Name != nil {
			local = imp.Name.Name
		}
		if local == "." && endless[from] != nil {
			found = append(found, "import . "+imp.Path.Value)
		}
		names[local] = from
	}
	// With a call its arguments are known; a function that is handed on has none.
	calls := map[ast.Expr]*ast.CallExpr{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			calls[n.Fun] = n
		case *ast.SelectorExpr:
			if what := unbounded(n, calls[n], names); what != "" {
				found = append(found, what)
			}
		}
		return true
	})
	return found
}

// unbounded names what a selector reads without a bound, or is "".
func unbounded(s *ast.SelectorExpr, call *ast.CallExpr, names map[string]string) string {
	if x, ok := s.X.(*ast.Ident); ok && slices.Contains(endless[names[x.Name]], s.Sel.Name) {
		return x.Name + "." + s.Sel.Name
	}
	if args, ok := endlessMethods[s.Sel.Name]; ok && (call == nil || len(call.Args) <= args) {
		return s.Sel.Name
	}
	// A decoder holds a whole value, so it may only read what is in memory already.
	if s.Sel.Name == "NewDecoder" && (call == nil || !inMemory(call)) {
		return s.Sel.Name
	}
	return ""
}

func inMemory(call *ast.CallExpr) bool {
	if len(call.Args) == 0 {
		return false
	}
	from, ok := call.Args[0].(*ast.CallExpr)
	return ok && slices.Contains([]string{"bytes.NewReader", "strings.NewReader"}, selector(from.Fun))
}
