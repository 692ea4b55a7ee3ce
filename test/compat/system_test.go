package compat

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	systems "laterna.dev/laterna/test/system"
)

// stepTimeout bounds one command of a test.
const stepTimeout = 60 * time.Second

// imageDir is where `make images` puts the archives.
const imageDir = "../../build/images"

// system is a running system with what tests do to it.
type system struct{ *systems.System }

// prepared returns a system of the test's own that is not started; it is removed at
// the end of the test.
func prepared(t testing.TB, flags ...string) *system {
	t.Helper()
	sys, err := systems.New(programs, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of laterna:\n%s", tail(sys.Log(), 40))
		}
		if err := sys.Remove(); err != nil {
			t.Error(err)
		}
	})
	return &system{sys}
}

// started returns a system of the test's own, with the test images when it has a
// node.
func started(t testing.TB, flags ...string) *system {
	t.Helper()
	s := prepared(t, flags...)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(flags, "--node=false") {
		if err := s.ImportImages(imageDir); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// config returns the admin's client configuration.
func (s *system) config(t testing.TB) *rest.Config {
	t.Helper()
	config, err := s.Config()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// client returns the admin's client.
func (s *system) client(t testing.TB) kubernetes.Interface {
	t.Helper()
	client, err := s.Client()
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// command returns a command with the system's environment; it is killed after
// stepTimeout.
func (s *system) command(t testing.TB, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	t.Cleanup(cancel)
	// Ours comes first, whatever the machine has of that name: exec looks in this
	// process's PATH, not in the command's.
	if own := programs.Path(name); filepath.Base(name) == name {
		if _, err := os.Stat(own); err == nil {
			name = own
		}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = s.Environ()
	return cmd
}

// sh runs a line of shell as a user would type it and returns what it prints.
func (s *system) sh(t testing.TB, line string) string {
	t.Helper()
	out, err := s.command(t, "bash", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// fails runs a line of shell that must fail, and returns what it prints.
func (s *system) fails(t testing.TB, line string) string {
	t.Helper()
	out, err := s.command(t, "bash", "-c", line).CombinedOutput()
	if err == nil {
		t.Fatalf("%s: succeeded, want a failure\n%s", line, out)
	}
	return string(out)
}

// apply creates what a manifest says, in a namespace.
func (s *system) apply(t testing.TB, namespace, manifest string) {
	t.Helper()
	cmd := s.command(t, "kubectl", "apply", "-n", namespace, "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kubectl apply: %v\n%s", err, out)
	}
}

// refused applies a manifest that must be refused, and returns the message.
func (s *system) refused(t testing.TB, namespace, manifest string) string {
	t.Helper()
	cmd := s.command(t, "kubectl", "apply", "-n", namespace, "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("accepted, want a refusal:\n%s\n%s", manifest, out)
	}
	return string(out)
}
