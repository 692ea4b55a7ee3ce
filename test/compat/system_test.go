package compat

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// system is a running `laterna up` with a data directory of its own.
type system struct {
	dir, listen string
	flags       []string
	cmd         *exec.Cmd
	stderr      *bytes.Buffer
	exited      chan struct{}
}

const (
	startTimeout = 60 * time.Second
	stepTimeout  = 60 * time.Second
)

// bin is where TestMain has built the programs.
var bin string

// newSystem prepares a system that is not started. Remove must be called.
func newSystem(flags ...string) (*system, error) {
	// Not under the test's temporary directory: that is removed before a system
	// that failed to stop could be looked at.
	dir, err := os.MkdirTemp("", "laterna-compat-")
	if err != nil {
		return nil, err
	}
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return &system{dir: filepath.Join(dir, "data"), listen: listen, flags: flags}, nil
}

// freeAddress returns a loopback address whose port nobody uses now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// start runs `laterna up` and returns when it has said that it is ready.
func (s *system) start() error {
	args := append([]string{"up", "--data-dir", s.dir, "--listen", s.listen}, s.flags...)
	s.cmd = exec.Command(filepath.Join(bin, "laterna"), args...)
	s.stderr = &bytes.Buffer{}
	s.cmd.Stderr = s.stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	ready := make(chan struct{})
	go func() {
		defer close(s.exited)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "ready in ") {
				close(ready)
			}
		}
		s.cmd.Wait()
	}()
	select {
	case <-ready:
		return nil
	case <-s.exited:
		return fmt.Errorf("laterna up ended: %s", s.stderr)
	case <-time.After(startTimeout):
		s.kill()
		return fmt.Errorf("laterna up was not ready after %s: %s", startTimeout, s.stderr)
	}
}

// stop sends SIGTERM and waits; containers keep running.
func (s *system) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(30 * time.Second):
		s.cmd.Process.Signal(syscall.SIGQUIT)
		<-s.exited
		return fmt.Errorf("laterna up did not stop: %s", s.stderr)
	}
}

// kill ends the process with SIGKILL.
func (s *system) kill() {
	s.cmd.Process.Kill()
	<-s.exited
}

// remove stops the system with everything it has made on the host.
func (s *system) remove() error {
	out, err := exec.Command(filepath.Join(bin, "laterna"), "down", "--purge", "--data-dir", s.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("laterna down: %w: %s", err, out)
	}
	if s.exited != nil {
		select {
		case <-s.exited:
		case <-time.After(30 * time.Second):
			return errors.New("laterna up still runs after laterna down")
		}
	}
	return os.RemoveAll(filepath.Dir(s.dir))
}

func (s *system) kubeconfig() string { return filepath.Join(s.dir, "kubeconfig") }

// config returns the admin's client configuration.
func (s *system) config() (*rest.Config, error) {
	return clientcmd.BuildConfigFromFlags("", s.kubeconfig())
}

// client returns the admin's client.
func (s *system) client(t testing.TB) kubernetes.Interface {
	t.Helper()
	config, err := s.config()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
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
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+filepath.Dir(s.dir))
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

// started returns a system of the test's own with the images that every test may
// use; it is removed at the end of the test.
func started(t testing.TB, flags ...string) *system {
	t.Helper()
	s, err := newSystem(flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of laterna:\n%s", tail(s.stderr.String(), 40))
		}
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	})
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(flags, "--node=false") {
		if err := s.importImages(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
