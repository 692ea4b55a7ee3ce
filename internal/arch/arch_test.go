package arch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "laterna.dev/laterna"

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath, Dir, Doc               string
	GoFiles, TestGoFiles, XTestGoFiles []string
	IgnoredGoFiles                     []string
	Imports                            []string
}

// tree is the import path below the module.
func (p pkg) tree() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

// packages lists the module's packages; the list is made once.
func packages(t *testing.T) []pkg {
	t.Helper()
	all, err := list()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var list = sync.OnceValues(func() (all []pkg, err error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,GoFiles,TestGoFiles,XTestGoFiles,IgnoredGoFiles,Imports", module+"/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if len(all) < 50 {
		return nil, fmt.Errorf("go list found only %d packages", len(all))
	}
	return all, nil
})

// within tells whether path is tree or lies under it.
func within(path, tree string) bool { return path == tree || strings.HasPrefix(path, tree+"/") }

// find returns the longest entry of levels that holds path.
func find(path string) (best level, ok bool) {
	for _, l := range levels {
		if within(path, l.tree) && len(l.tree) > len(best.tree) {
			best, ok = l, true
		}
	}
	return best, ok
}

func TestEveryPackageHasALevel(t *testing.T) {
	for _, p := range packages(t) {
		l, ok := find(p.tree())
		if !ok {
			t.Errorf("%s is not in the table of levels: decide where it belongs and add it", p.tree())
		}
		// Where packages of a tree have rows, none is left out: a row for the whole of it
		// would let them import one another.
		if parted := slices.ContainsFunc(levels, func(o level) bool { return o.tree != l.tree && within(o.tree, l.tree) }); parted && p.tree() != l.tree {
			t.Errorf("%s has no row of its own in the table of levels, as others in %s have", p.tree(), l.tree)
		}
	}
}

func TestImportsGoDownwards(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := find(p.tree())
		for _, imp := range p.Imports {
			if !within(imp, module) {
				continue
			}
			to, _ := find(strings.TrimPrefix(imp, module+"/"))
			_, meant := sameLevel[[2]string{from.tree, to.tree}]
			if from.tree != to.tree && to.level >= from.level && !meant {
				t.Errorf("%s (level %d) imports %s (level %d)", p.tree(), from.level, imp, to.level)
			}
			if from.level == 0 {
				t.Errorf("%s is level 0 and imports %s of ours", p.tree(), imp)
			}
		}
	}
}

func TestWingsStayApart(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		for _, a := range apart {
			if !within(p.tree(), a.tree) {
				seen[a.never] = seen[a.never] || within(p.tree(), a.never)
				continue
			}
			for _, imp := range p.Imports {
				if within(imp, module+"/"+a.never) {
					t.Errorf("%s imports %s: %s", p.tree(), imp, a.why)
				}
			}
		}
	}
	for _, a := range apart {
		if !seen[a.never] {
			t.Errorf("there is no package in %s: the rule checks nothing", a.never)
		}
	}
}

func TestPartsOfATreeStayApart(t *testing.T) {
	for _, b := range beside {
		used := map[string]bool{}
		for _, p := range packages(t) {
			if !within(p.tree(), b.tree) {
				continue
			}
			for _, imp := range p.Imports {
				to := strings.TrimPrefix(imp, module+"/")
				if !within(imp, module) || !within(to, b.tree) {
					continue
				}
				used[p.tree()], used[to] = true, true
				if p.tree() != b.together && !slices.Contains(b.shared, to) {
					t.Errorf("%s imports %s: they are parts of %s beside each other", p.tree(), imp, b.tree)
				}
			}
		}
		for _, name := range append(b.shared, b.together) {
			if !used[name] {
				t.Errorf("no package of %s imports %s, or it imports none: the rule checks nothing", b.tree, name)
			}
		}
	}
}

// TestEveryLevelHasAPackage keeps rows from outliving what they are about.
func TestEveryLevelHasAPackage(t *testing.T) {
	for _, l := range levels {
		if !slices.ContainsFunc(packages(t), func(p pkg) bool { return within(p.tree(), l.tree) }) {
			t.Errorf("there is no package in %s: take it out of the table of levels", l.tree)
		}
	}
	for pair := range sameLevel {
		for _, tree := range pair {
			if l, ok := find(tree); !ok || l.tree != tree {
				t.Errorf("%s has no row of its own, so what it may import of its level is never asked", tree)
			}
		}
	}
}

func TestLibrariesHaveSingleOwners(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			for _, o := range owners {
				allowed := slices.ContainsFunc(o.trees, func(tree string) bool { return within(p.tree(), tree) })
				if within(imp, o.path) && !allowed {
					t.Errorf("%s imports %s, which belongs to %v", p.tree(), imp, o.trees)
				}
			}
		}
	}
}

func TestDomainPackagesStayPure(t *testing.T) {
	for _, p := range packages(t) {
		if l, _ := find(p.tree()); l.level > 2 {
			continue
		}
		for _, imp := range p.Imports {
			kubernetes := strings.HasPrefix(imp, "k8s.io/")
			allowed := slices.ContainsFunc(pureMay, func(path string) bool { return within(imp, path) })
			if kubernetes && !allowed {
				t.Errorf("%s is below level 3 and imports %s", p.tree(), imp)
			}
		}
	}
}
