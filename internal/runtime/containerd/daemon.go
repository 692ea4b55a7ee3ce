package containerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/host/launch"
	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/host/replace"
)

const (
	// Namespace is containerd's namespace for everything that comes over CRI.
	Namespace = "k8s.io"

	snapshotter  = "overlayfs"
	startTimeout = 30 * time.Second
	endTimeout   = 10 * time.Second
	logLimit     = 8 << 20
)

// Config is what the managed daemon needs. All fields but Ended are required.
type Config struct {
	// Root holds images and layers and survives a reboot (datadir.Dir.Containerd).
	Root string
	// RunDir holds configuration, sockets and state, and must not survive a reboot
	// (datadir.Dir.RunDir).
	RunDir string
	// HostName names the control group of the node (datadir.Dir.HostName).
	HostName string
	// SandboxImage is the image of sandbox containers, which the caller imports.
	SandboxImage string
	// CNIConfDir is the directory with the network configuration. It may be filled
	// after Start.
	CNIConfDir string
	// Ended, unless nil, is called by Stop when containers have ended, before what they
	// wrote is removed.
	Ended func()
	Log   *slog.Logger
	// Clock times retries; it must run with real time.
	Clock clock.Wall
}

// Info describes the running daemon.
type Info struct {
	// Endpoint is the CRI endpoint, a unix:// URL.
	Endpoint string
	// Socket is the endpoint's path; it also speaks containerd's own API.
	Socket string
	// PID is the daemon's process.
	PID int
	// Version is containerd's own, such as 1.6.20.
	Version string
	// Adopted says that the daemon ran before Start.
	Adopted bool
	// Rebooted says that the machine was started anew since containers ran last, so
	// all that CRI still lists is stale.
	Rebooted bool
	// Driver is the control group driver that was configured.
	Driver cgroups.Driver
	// Streams is where containers' output must be read beside this containerd, which
	// loses its end, see runtime/stdio; empty for those that do not.
	Streams string
}

// Daemon is the managed containerd of one data directory. Its methods may be called
// concurrently.
type Daemon struct {
	cfg Config

	mu      sync.Mutex
	process procfs.Process
}

// New prepares a daemon and starts nothing.
func New(cfg Config) *Daemon { return &Daemon{cfg: cfg} }

// Socket is the path at which the daemon listens, known before it runs.
func (d *Daemon) Socket() string { return filepath.Join(d.cfg.RunDir, "containerd.sock") }

func (d *Daemon) state() string   { return filepath.Join(d.cfg.RunDir, "containerd") }
func (d *Daemon) logFile() string { return filepath.Join(d.cfg.Root, "containerd.log") }

// Start adopts the running daemon, or starts one, and returns once it answers CRI
// calls. A daemon that runs with another configuration is replaced; containers keep
// running. The error is a *MissingError when programs are missing.
func (d *Daemon) Start(ctx context.Context) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.settings(ctx)
	if err != nil {
		return Info{}, fmt.Errorf("managed containerd: %w", err)
	}
	info := Info{Endpoint: "unix://" + s.socket, Socket: s.socket, Version: s.version.Text, Driver: s.driver}
	if s.version.losesOutput() {
		info.Streams = filepath.Join(s.state, criPlugin, "containers")
	}
	if info.Rebooted, err = d.noteBoot(); err != nil {
		return Info{}, fmt.Errorf("managed containerd: %w", err)
	}
	file := configFile(d.cfg.RunDir, s.digest())
	if info.Adopted, err = d.adopt(ctx, file); err == nil && !info.Adopted {
		err = d.launch(ctx, s, file)
	}
	if err != nil {
		return Info{}, fmt.Errorf("managed containerd: %w", err)
	}
	info.PID = d.process.PID
	d.cfg.Log.Info("containerd answers", "pid", info.PID, "version", info.Version, "adopted", info.Adopted)
	return info, nil
}

func (d *Daemon) settings(ctx context.Context) (settings, error) {
	programs, err := FindPrograms()
	if err != nil {
		return settings{}, err
	}
	for _, dir := range []string{d.cfg.Root, d.cfg.RunDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return settings{}, fmt.Errorf("making directory: %w", err)
		}
	}
	v, err := findVersion(ctx, programs.Containerd, d.cfg.Root)
	if err != nil {
		return settings{}, err
	}
	h, err := cgroups.Detect()
	if err != nil {
		return settings{}, err
	}
	return settings{
		version: v, programs: programs, driver: h.Driver, raiseOOM: mayLowerOOMScore(),
		root: d.cfg.Root, state: d.state(), socket: d.Socket(), runcRoot: filepath.Join(d.cfg.RunDir, "runc"),
		sandboxImage: d.cfg.SandboxImage, cniConfDir: d.cfg.CNIConfDir,
	}, nil
}

// noteBoot reports whether the kernel was started anew since the last call on this
// root, and remembers this boot.
func (d *Daemon) noteBoot() (bool, error) {
	now, err := procfs.BootID()
	if err != nil {
		return false, err
	}
	file := filepath.Join(d.cfg.Root, "boot-id")
	before, err := bounded.File(file, bounded.Small)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("reading the last boot: %w", err)
	}
	if string(before) == now {
		return false, nil
	}
	if err := replace.File(file, []byte(now), 0o600); err != nil {
		return false, fmt.Errorf("noting this boot: %w", err)
	}
	return len(before) > 0, nil
}

// adopt takes over the daemon that runs with the given configuration, and ends every
// other daemon of this run directory, since two must not share a root.
func (d *Daemon) adopt(ctx context.Context, file string) (bool, error) {
	running, err := d.find()
	if err != nil {
		return false, err
	}
	for i, p := range running {
		if p.Arg("--config") != file || !d.answers(ctx, p) {
			continue
		}
		d.process = p
		rest := append(running[:i:i], running[i+1:]...)
		return true, procfs.End(ctx, rest, endTimeout)
	}
	if len(running) > 0 {
		d.cfg.Log.Info("containerd runs with another configuration, replacing it", "pid", running[0].PID)
	}
	return false, procfs.End(ctx, running, endTimeout)
}

// answers reports whether a daemon that runs already is of use.
func (d *Daemon) answers(ctx context.Context, p procfs.Process) bool {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	return d.awaitReady(ctx, p) == nil
}

// find returns the daemons of this run directory. A container that sees the machine's
// processes knows how a daemon is called and can look like one: it would be adopted in the
// daemon's place. So what runs in the node's control group is none.
func (d *Daemon) find() ([]procfs.Process, error) {
	prefix := filepath.Join(d.cfg.RunDir, "containerd-")
	found, err := procfs.Find(func(p procfs.Process) bool {
		return p.Program() == "containerd" && strings.HasPrefix(p.Arg("--config"), prefix)
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	contained, err := d.contained()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(p procfs.Process) bool { return contained[p.PID] }), nil
}

// contained are the numbers of all processes in the node's control group.
func (d *Daemon) contained() (map[int]bool, error) {
	h, err := cgroups.Detect()
	if err != nil {
		return nil, err
	}
	pids, err := h.Processes(d.cfg.HostName)
	if err != nil {
		return nil, err
	}
	in := make(map[int]bool, len(pids))
	for _, pid := range pids {
		in[pid] = true
	}
	return in, nil
}

// launch starts a daemon and waits for it.
func (d *Daemon) launch(ctx context.Context, s settings, file string) error {
	if err := d.writeConfig(s, file); err != nil {
		return err
	}
	for _, socket := range []string{s.socket, s.socket + ".ttrpc"} {
		if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing old socket: %w", err)
		}
	}
	out, err := d.openLog()
	if err != nil {
		return err
	}
	defer out.Close()
	// The daemon outlives ctx and this program.
	process, kept, err := launch.Start(launch.Command{
		Path: s.programs.Containerd, Args: []string{"--config", file}, Env: environment(s.programs), Output: out,
	})
	if err != nil {
		return fmt.Errorf("starting containerd: %w", err)
	}
	if len(kept) > 0 {
		d.cfg.Log.Info("containers inherit what this process may not change", "what", strings.Join(kept, ", "))
	}
	// The goroutine reaps the daemon; it ends with the daemon or with this program.
	go func() { _, _ = process.Wait() }()
	if d.process, err = procfs.Get(process.Pid); err == nil {
		err = d.awaitReady(ctx, d.process)
	}
	if err != nil {
		return fmt.Errorf("starting containerd: %w; its log %s ends with:\n%s", err, out.Name(), tail(out.Name(), 2000))
	}
	return nil
}

// writeConfig writes the configuration and removes those of former daemons.
func (d *Daemon) writeConfig(s settings, file string) error {
	old, err := filepath.Glob(configFile(d.cfg.RunDir, "*"))
	if err != nil {
		return fmt.Errorf("listing old configurations: %w", err)
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("removing old configuration: %w", err)
		}
	}
	if err := replace.Unsynced(file, []byte(s.render()), 0o600); err != nil {
		return fmt.Errorf("writing configuration: %w", err)
	}
	return nil
}

// openLog opens the daemon's log for appending; one that has grown large becomes
// containerd.log.old first.
func (d *Daemon) openLog() (*os.File, error) {
	if info, err := os.Stat(d.logFile()); err == nil && info.Size() > logLimit {
		if err := os.Rename(d.logFile(), d.logFile()+".old"); err != nil {
			return nil, fmt.Errorf("putting containerd's log aside: %w", err)
		}
	}
	f, err := os.OpenFile(d.logFile(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening containerd's log: %w", err)
	}
	return f, nil
}

// environment gives the daemon a path on which it finds all programs, and the proxy
// settings of this process for pulls; nothing else.
func environment(p Programs) []string {
	dirs := []string{filepath.Dir(p.Shim), filepath.Dir(p.Runc)}
	env := []string{"PATH=" + strings.Join(append(dirs, searchPath...), ":")}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// tail returns the last n bytes of a file, for error messages.
func tail(path string, n int64) string {
	f, err := bounded.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	raw, err := bounded.End(f, n)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(raw))
}
