package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestP9Windows is the catalogue's row about Windows, but for the run of projection's
// tests as Windows programs, which is this program's: the libraries build and vet
// everywhere, and the page says what a pod's owners and modes come to.
func TestP9Windows(t *testing.T) {
	for _, system := range []string{"windows", "darwin", "linux"} {
		for _, what := range []string{"build", "vet"} {
			cmd := exec.CommandContext(t.Context(), "go", what, "./projection/...")
			cmd.Dir = "../.."
			cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("go %s for %s: %v\n%s", what, system, err, out)
			}
		}
	}
	page, err := os.ReadFile("../../docs/windows.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"`runAsUserName` is ignored", "owner `BUILTIN\\Administrators`", "full control for `NT AUTHORITY\\SYSTEM` and `BUILTIN\\Administrators`",
		"read and execute for `BUILTIN\\Users`", "outside `C:\\`", "built and vetted, not run: Wine's symbolic links are a stub",
	} {
		if !strings.Contains(string(page), part) {
			t.Errorf("docs/windows.md lacks %q", part)
		}
	}
}
