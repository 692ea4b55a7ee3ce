// Package system runs the real program as a process with a data directory of its
// own, for acceptance tests and benchmarks.
//
// It owns building, starting, stopping and removing; what is checked or measured on
// a running system lives in test/compat and test/bench.
package system

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
)

// Programs is a directory with the programs laterna and kubectl.
type Programs string

// stamp is what the Makefile sets, too, and a program without it does not say.
const stamp = " -X main.commit=000000000000 -X main.date=1970-01-01T00:00:00Z"

// Build builds the programs from the module at root into a new directory, which the
// caller removes.
func Build(root string) (Programs, error) {
	dir, err := os.MkdirTemp("", "laterna-bin-")
	if err != nil {
		return "", err
	}
	version, err := kubectlVersion(root)
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	for name, flags := range map[string]string{"laterna": "-s -w" + stamp, "kubectl": "-s -w" + version} {
		build := exec.Command("go", "build", "-ldflags", flags, "-o", filepath.Join(dir, name), "./cmd/"+name)
		build.Dir = root
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return "", errors.Join(fmt.Errorf("building %s: %w: %s", name, err, out), os.RemoveAll(dir))
		}
	}
	return Programs(dir), nil
}

// kubectlVersion returns the flags of the linker that give kubectl the version of its
// module, as the Makefile does: it compares that with the server's.
func kubectlVersion(root string) (flags string, err error) {
	list := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubectl")
	list.Dir = root
	out, err := list.Output()
	minor, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "v0.")
	if err != nil || !ok {
		return "", fmt.Errorf("reading the version of kubectl: %q, %v", out, err)
	}
	const variable = " -X k8s.io/component-base/version."
	short, _, _ := strings.Cut(minor, ".")
	return variable + "gitVersion=v1." + minor + variable + "gitMajor=1" + variable + "gitMinor=" + short, nil
}

// Path returns the path of a program.
func (p Programs) Path(name string) string { return filepath.Join(string(p), name) }

// System is a data directory on which `laterna up` runs or has run. It is not safe
// for concurrent use.
type System struct {
	// Dir is the data directory, Listen the address of the API.
	Dir, Listen string
	// Flags are given to `laterna up` besides those two.
	Flags []string
	// Through is the command that runs `laterna up` by executing its last arguments, as
	// nohup does; empty for none.
	Through []string

	programs Programs
	cmd      *exec.Cmd
	stderr   *logBuffer
	exited   chan struct{}
	readyIn  time.Duration
}

// logBuffer collects a log that is read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what was written so far.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// New prepares a system that is not started. Remove must be called.
func New(programs Programs, flags ...string) (*System, error) {
	// Not under a test's temporary directory: that is removed before a system that
	// did not stop could be looked at.
	dir, err := os.MkdirTemp("", "laterna-system-")
	if err != nil {
		return nil, err
	}
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return &System{Dir: filepath.Join(dir, "data"), Listen: listen, Flags: flags, programs: programs, stderr: &logBuffer{}}, nil
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

// Launch runs `laterna up` and returns at once. ready is closed when it has said
// that it is ready.
func (s *System) Launch() (ready <-chan struct{}, err error) {
	args := slices.Concat(s.Through, []string{s.programs.Path("laterna"), "up", "--data-dir", s.Dir, "--listen", s.Listen}, s.Flags)
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Stderr = s.stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.exited = make(chan struct{})
	said := make(chan struct{})
	go func() {
		defer close(s.exited)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if text, ok := strings.CutPrefix(lines.Text(), "ready in "); ok {
				s.readyIn, _ = time.ParseDuration(strings.ReplaceAll(text, " ", ""))
				close(said)
			}
		}
		s.cmd.Wait()
	}()
	return said, nil
}

// Start runs `laterna up` and returns when it has said that it is ready.
func (s *System) Start() error {
	ready, err := s.Launch()
	if err != nil {
		return err
	}
	select {
	case <-ready:
		return nil
	case <-s.exited:
		return fmt.Errorf("laterna up ended: %s", s.Log())
	case <-time.After(startTimeout):
		s.Kill()
		return fmt.Errorf("laterna up was not ready after %s: %s", startTimeout, s.Log())
	}
}

// ReadyIn is what the program has said that its last start took, 0 before that.
func (s *System) ReadyIn() time.Duration { return s.readyIn }

// Exited is closed when the process that was last started has ended.
func (s *System) Exited() <-chan struct{} { return s.exited }

// PID is the process that Start has begun.
func (s *System) PID() int { return s.cmd.Process.Pid }

// Log is what the program has logged, over all starts.
func (s *System) Log() string { return s.stderr.String() }

// Stop sends SIGTERM and waits; containers keep running.
func (s *System) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(stopTimeout):
		s.cmd.Process.Signal(syscall.SIGQUIT)
		<-s.exited
		return fmt.Errorf("laterna up did not stop: %s", s.Log())
	}
}

// Kill ends the process with SIGKILL.
func (s *System) Kill() {
	s.cmd.Process.Kill()
	<-s.exited
}

// Remove stops the system with everything it has made on the host. It may be called
// again.
func (s *System) Remove() error {
	if _, err := os.Stat(s.Dir); errors.Is(err, os.ErrNotExist) {
		return os.RemoveAll(filepath.Dir(s.Dir))
	}
	down := exec.Command(s.programs.Path("laterna"), "down", "--purge", "--grace-period=0s", "--data-dir", s.Dir)
	// An interrupt that ends the caller must not end this, too.
	down.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if out, err := down.CombinedOutput(); err != nil {
		return fmt.Errorf("laterna down: %w: %s", err, out)
	}
	if s.exited != nil {
		select {
		case <-s.exited:
		case <-time.After(stopTimeout):
			return errors.New("laterna up still runs after laterna down")
		}
	}
	return os.RemoveAll(filepath.Dir(s.Dir))
}

// ImportImages imports the archives of a directory.
func (s *System) ImportImages(dir string) error {
	archives, err := filepath.Glob(filepath.Join(dir, "*.tar"))
	if err != nil {
		return err
	}
	if len(archives) == 0 {
		return fmt.Errorf("no images under %s: run make images", dir)
	}
	args := append([]string{"image", "import", "--data-dir", s.Dir}, archives...)
	if out, err := exec.Command(s.programs.Path("laterna"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("importing images: %w: %s", err, out)
	}
	return nil
}

// Kubeconfig is the path of the admin's kubeconfig.
func (s *System) Kubeconfig() string { return filepath.Join(s.Dir, "kubeconfig") }

// Environ is the environment in which a user would type: KUBECONFIG is set and the
// programs are on PATH.
func (s *System) Environ() []string {
	return append(os.Environ(),
		"KUBECONFIG="+s.Kubeconfig(), "LATERNA_DATA_DIR="+s.Dir,
		"PATH="+string(s.programs)+":"+os.Getenv("PATH"), "HOME="+filepath.Dir(s.Dir))
}

// Config returns the admin's client configuration, without a rate limit.
func (s *System) Config() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig())
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return config, nil
}

// Client returns the admin's client.
func (s *System) Client() (kubernetes.Interface, error) {
	config, err := s.Config()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}
