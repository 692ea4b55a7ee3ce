package compat

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// tool builds the program of a module of test/tools, and returns where it is.
func tool(t testing.TB, module string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), module)
	build := exec.Command("go", "build", "-C", filepath.Join("..", "tools", module), "-ldflags=-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}
