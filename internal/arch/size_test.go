package arch_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"strings"
	"testing"
)

// What a package and a type may be at most, outside tests, and the node's root, through
// which a reader must find.
const (
	maxPackage  = 3000
	maxNodeRoot = 1200
	maxMethods  = 40
)

// program calls f with every file of ours that is part of a program, and its package.
func program(t *testing.T, f func(tree, name string, src []byte)) {
	files(t, func(name string, src []byte) {
		if !strings.HasSuffix(name, "_test.go") && !isTestOnly(name) {
			f(path.Dir(name), name, src)
		}
	})
}

func TestPackagesStayReadable(t *testing.T) {
	lines := map[string]int{}
	program(t, func(tree, _ string, src []byte) { lines[tree] += bytes.Count(src, []byte("\n")) })
	for tree, n := range lines {
		most := maxPackage
		if tree == "internal/node" {
			most = maxNodeRoot
		}
		if n > most {
			t.Errorf("%s has %d lines, more than %d: part it by subject", tree, n, most)
		}
	}
}

func TestTypesStayReadable(t *testing.T) {
	methods := map[string]int{}
	program(t, func(tree, name string, src []byte) {
		file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil {
				methods[tree+"."+receiver(f.Recv.List[0].Type).Name]++
			}
		}
	})
	for name, n := range methods {
		if n > maxMethods {
			t.Errorf("%s has %d methods, more than %d: part it by subject", name, n, maxMethods)
		}
	}
	if methods["internal/component.Group"] == 0 {
		t.Error("the methods of component.Group were not found: nothing is counted")
	}
}
