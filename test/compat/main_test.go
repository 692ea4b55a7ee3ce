package compat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// shared is the system that tests use which do not stop or configure it.
var shared *system

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "the acceptance tests start containers and must run as root")
		return 1
	}
	dir, err := os.MkdirTemp("", "laterna-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	if err := setUp(); err != nil {
		fmt.Fprintln(os.Stderr, "setting up:", err)
		tearDown()
		return 1
	}
	code := m.Run()
	if err := tearDown(); err != nil {
		fmt.Fprintln(os.Stderr, "tearing down:", err)
		return 1
	}
	return code
}

// setUp builds the programs and starts the shared system with the test images.
func setUp() error {
	for _, name := range []string{"laterna", "kubectl"} {
		build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(bin, name), "../../cmd/"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w: %s", name, err, out)
		}
	}
	var err error
	if shared, err = newSystem("--test-clock", "--api-audiences", "https://kubernetes.default.svc,api"); err != nil {
		return err
	}
	if err := shared.start(); err != nil {
		return err
	}
	return shared.importImages()
}

// importImages imports what `make images` has made.
func (s *system) importImages() error {
	archives, err := filepath.Glob("../../build/images/*.tar")
	if err != nil {
		return err
	}
	if len(archives) == 0 {
		return fmt.Errorf("no images under build/images: run make images")
	}
	args := append([]string{"image", "import", "--data-dir", s.dir}, archives...)
	if out, err := exec.Command(filepath.Join(bin, "laterna"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("importing images: %w: %s", err, out)
	}
	return nil
}

// tearDown removes the shared system and tells what it left on the host.
func tearDown() error {
	if shared == nil {
		return nil
	}
	if err := shared.remove(); err != nil {
		return err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	if strings.Contains(string(mounts), shared.dir) {
		return fmt.Errorf("mounts are left below %s", shared.dir)
	}
	return nil
}
