package apiserver

import (
	"os"
	"strings"
	"testing"
)

// TestAPILevelIsThatOfTheLibraries: the libraries of Kubernetes 1.x.y are v0.x.y.
func TestAPILevelIsThatOfTheLibraries(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	want := "k8s.io/apiserver v0" + strings.TrimPrefix(APILevel, "1") + "\n"
	if !strings.Contains(string(mod), want) {
		t.Errorf("go.mod does not require %q", want)
	}
}

func TestVersionInfo(t *testing.T) {
	info := newEffectiveVersion(Version{Program: "0.1.0", Commit: "abc", Date: "2026-01-02T03:04:05Z"}).Info()
	if info.GitVersion != "v"+APILevel+"+laterna.0.1.0" || info.GitCommit != "abc" || info.Major != "1" || info.EmulationMajor != "1" {
		t.Errorf("%+v", info)
	}
	if got := (Version{}).Info().GitVersion; got != "v"+APILevel+"+laterna.dev" {
		t.Errorf("development build: %s", got)
	}
}
