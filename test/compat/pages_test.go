package compat

import (
	"os"
	"os/exec"
	"testing"
)

// looksAt runs the tests of a package of test/tools, which look at the pages of a system
// with a browser. They find its API at the address of a `kubectl proxy`, and kubectl as a
// user does.
func (s *system) looksAt(t *testing.T, pkg, proxy string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout=5m", "./"+pkg)
	cmd.Dir = "../tools"
	// The go command has its caches at home.
	cmd.Env = append(s.Environ(), "LATERNA_PAGES=http://"+proxy, "HOME="+os.Getenv("HOME"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", pkg, err, out)
	}
}
