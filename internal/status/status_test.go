package status

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/datadir"
)

func TestSizeCountsAFileWithSeveralNamesOnce(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	one := size(dir)
	for _, name := range []string{"b", "c"} {
		if err := os.Link(file, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := size(dir); one < 1<<20 || got != one {
		t.Errorf("one name %d bytes, three names %d", one, got)
	}
	if got := size(filepath.Join(dir, "missing")); got != 0 {
		t.Errorf("a missing directory takes %d bytes", got)
	}
}

func open(t *testing.T) datadir.Dir {
	t.Helper()
	dir, err := datadir.Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir.RunDir) })
	return dir
}

func TestStatusOfAStoppedSystem(t *testing.T) {
	dir := open(t)
	unreachable := func() (kubernetes.Interface, error) { return nil, errors.New("no kubeconfig") }
	s, err := Read(t.Context(), dir.Path, unreachable)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Stopped() || s.Ready != nil || s.Left != 0 || s.Free == 0 || s.DataDir != dir.Path {
		t.Errorf("got %+v", s)
	}
	for _, path := range []string{"", filepath.Join(dir.Path, "none")} {
		if _, err := Read(t.Context(), path, unreachable); err == nil || err.Error() != "no kubeconfig" {
			t.Errorf("without a directory %q: %v", path, err)
		}
	}
}

func TestStatusWithoutAKubeconfigTellsOfTheProcess(t *testing.T) {
	dir := open(t)
	release, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	s, err := Read(t.Context(), dir.Path, func() (kubernetes.Interface, error) { return nil, errors.New("no kubeconfig") })
	if err != nil || s.PID != os.Getpid() || s.Resident == 0 || s.Ready == nil || s.Ready.Error() != "no kubeconfig" {
		t.Errorf("%+v, %v", s, err)
	}
}
