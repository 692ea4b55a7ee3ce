package arch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestInstallPageNamesTheGoOfTheModule: who follows docs/install.md gets a Go that builds.
func TestInstallPageNamesTheGoOfTheModule(t *testing.T) {
	module, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	need := regexp.MustCompile(`(?m)^go (\d+\.\d+)\.\d+$`).FindStringSubmatch(string(module))
	archives := regexp.MustCompile(`go(\d+\.\d+)\.\d+\.linux`).FindAllStringSubmatch(string(page), -1)
	if need == nil || len(archives) == 0 || !strings.Contains(string(page), "Go "+need[1]+" or newer is needed") {
		t.Fatalf("go.mod needs %v, docs/install.md does not say so", need)
	}
	for _, a := range archives {
		if a[1] != need[1] {
			t.Errorf("docs/install.md downloads Go %s, go.mod needs %s", a[1], need[1])
		}
	}
}

// TestBuildSaysWhichGoItNeeds: the message of a Go that cannot read go.mod tells nobody
// what to do.
func TestBuildSaysWhichGoItNeeds(t *testing.T) {
	for name, tc := range map[string]struct{ version, want string }{
		"none":            {"", "there is no Go on PATH: docs/install.md"},
		"Debian 12's":     {"go1.19.8", "go1.19.8 is too old: docs/install.md"},
		"an ancient one":  {"go1.9", "go1.9 is too old"},
		"the last of old": {"go1.20.14", "go1.20.14 is too old"},
		"one that knows":  {"go1.21.0", ""},
		"a new one":       {"go1.26.8", ""},
		"one of the tree": {"devel go1.27-abcdef", ""},
	} {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "go")
			if tc.version != "" {
				if err := os.WriteFile(program, []byte("#!/bin/sh\necho '"+tc.version+"'\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("../../scripts/go.sh")
			cmd.Env = append(os.Environ(), "GO="+program)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (tc.want == "") || !strings.Contains(string(out), tc.want) {
				t.Errorf("%v, %q; want %q", err, out, tc.want)
			}
		})
	}
}
