package containerd

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/cgroups"
)

// unneeded are plugins that cost start time and memory and do nothing here. Names
// that a containerd does not know are ignored by it.
var unneeded = []string{
	"io.containerd.internal.v1.opt",
	"io.containerd.internal.v1.restart",
	"io.containerd.internal.v1.tracing",
	"io.containerd.monitor.v1.cgroups",
	"io.containerd.snapshotter.v1.aufs",
	"io.containerd.snapshotter.v1.blockfile",
	"io.containerd.snapshotter.v1.btrfs",
	"io.containerd.snapshotter.v1.devmapper",
	"io.containerd.snapshotter.v1.erofs",
	"io.containerd.snapshotter.v1.native",
	"io.containerd.snapshotter.v1.zfs",
	"io.containerd.tracing.processor.v1.otlp",
}

// criPlugin is the CRI service, and the directory that it keeps things in.
const criPlugin = "io.containerd.grpc.v1.cri"

// settings is what the configuration file depends on.
type settings struct {
	version      version
	programs     Programs
	root, state  string
	socket       string
	runcRoot     string
	sandboxImage string
	cniConfDir   string
	driver       cgroups.Driver
	// raiseOOM says that the process may lower its own oom_score_adj
	// (CAP_SYS_RESOURCE). Without the capability a container that asks for a lower
	// value than ours cannot start, so containerd is told to restrict it.
	raiseOOM bool
}

// mayLowerOOMScore reports whether this process has CAP_SYS_RESOURCE.
func mayLowerOOMScore() bool {
	raw, err := bounded.File("/proc/self/status", bounded.Small)
	if err != nil {
		return false
	}
	_, after, ok := strings.Cut(string(raw), "\nCapEff:")
	line, _, _ := strings.Cut(after, "\n")
	caps, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	return ok && err == nil && caps&(1<<unix.CAP_SYS_RESOURCE) != 0
}

// render writes containerd's configuration: format 2 for containerd 1, format 3 for
// containerd 2.
func (s settings) render() string {
	var t toml
	s.renderDaemon(&t)
	if s.version.Major >= 2 {
		s.renderCRI3(&t)
	} else {
		s.renderCRI2(&t)
	}
	return t.String()
}

func (s settings) renderDaemon(t *toml) {
	format := 2
	if s.version.Major >= 2 {
		format = 3
	}
	t.set("version", format)
	t.set("root", s.root)
	t.set("state", s.state)
	t.set("disabled_plugins", unneeded)
	if s.raiseOOM {
		t.set("oom_score", -999)
	}
	t.table("grpc")
	t.set("address", s.socket)
	t.table("ttrpc")
	t.set("address", s.socket+".ttrpc")
	t.table("debug")
	t.set("level", "warn")
	// What a removed container wrote leaves the disk at once, not with the hundredth change.
	t.table("plugins", "io.containerd.gc.v1.scheduler")
	t.set("deletion_threshold", 1)
}

func (s settings) renderCRI2(t *toml) {
	t.table("plugins", criPlugin)
	t.set("sandbox_image", s.sandboxImage)
	s.renderRuntime(t)
	t.set("disable_tcp_service", true)
	t.set("stream_server_address", "127.0.0.1")
	t.set("stream_server_port", "0")
	t.table("plugins", criPlugin, "cni")
	t.set("bin_dir", s.programs.CNI)
	t.set("conf_dir", s.cniConfDir)
	t.table("plugins", criPlugin, "containerd")
	t.set("snapshotter", snapshotter)
	t.set("default_runtime_name", "runc")
	s.renderRunc(t, criPlugin)
	t.table("plugins", criPlugin, "registry")
	t.set("config_path", s.registries())
}

// registries are the directories that say how registries are reached, with which
// authorities and mirrors: a directory HOST:PORT with a file hosts.toml for each. Ours
// counts for more than the machine's.
func (s settings) registries() string {
	return filepath.Join(s.root, "certs.d") + ":/etc/containerd/certs.d:/etc/docker/certs.d"
}

func (s settings) renderCRI3(t *toml) {
	const images, runtime = "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"
	t.table("plugins", images)
	t.set("snapshotter", snapshotter)
	t.table("plugins", images, "pinned_images")
	t.set("sandbox", s.sandboxImage)
	t.table("plugins", images, "registry")
	t.set("config_path", s.registries())
	t.table("plugins", runtime)
	s.renderRuntime(t)
	t.table("plugins", runtime, "cni")
	if s.version.Major > 2 || s.version.Minor >= 1 {
		t.set("bin_dirs", []string{s.programs.CNI})
	} else {
		t.set("bin_dir", s.programs.CNI)
	}
	t.set("conf_dir", s.cniConfDir)
	t.table("plugins", runtime, "containerd")
	t.set("default_runtime_name", "runc")
	s.renderRunc(t, runtime)
	t.table("plugins", criPlugin)
	t.set("disable_tcp_service", true)
	t.set("stream_server_address", "127.0.0.1")
	t.set("stream_server_port", "0")
	t.table("plugins", "io.containerd.nri.v1.nri")
	t.set("disable", true)
}

// renderRuntime writes the settings that both formats name alike.
func (s settings) renderRuntime(t *toml) {
	t.set("restrict_oom_score_adj", !s.raiseOOM)
	t.set("netns_mounts_under_state_dir", true)
	t.set("enable_unprivileged_ports", true)
	t.set("enable_unprivileged_icmp", true)
}

func (s settings) renderRunc(t *toml, plugin string) {
	t.table("plugins", plugin, "containerd", "runtimes", "runc")
	t.set("runtime_type", "io.containerd.runc.v2")
	t.table("plugins", plugin, "containerd", "runtimes", "runc", "options")
	t.set("BinaryName", s.programs.Runc)
	t.set("Root", s.runcRoot)
	t.set("SystemdCgroup", s.driver == cgroups.Systemd)
}

// startedAs is raised when what launch gives a daemon besides its configuration changes,
// so that one that an older program has started is replaced.
const startedAs = "2"

// digest names a configuration together with the program that it is for, so that an
// upgraded containerd is started afresh, and the way of its start.
func (s settings) digest() string {
	sum := sha256.Sum256([]byte(startedAs + "\n" + s.version.File + "\n" + s.render()))
	return hex.EncodeToString(sum[:6])
}

// configFile is where the configuration with this digest lives.
func configFile(runDir, digest string) string {
	return filepath.Join(runDir, "containerd-"+digest+".toml")
}

// toml writes the few shapes of TOML that the configuration needs.
type toml struct{ strings.Builder }

func (t *toml) table(path ...string) {
	for i, p := range path {
		path[i] = quote(p)
	}
	fmt.Fprintf(t, "\n[%s]\n", strings.Join(path, "."))
}

func (t *toml) set(key string, value any) {
	fmt.Fprintf(t, "%s = %s\n", key, quote(value))
}

// quote writes a value as JSON, which for strings, numbers, booleans and arrays of
// them is TOML too.
func quote(value any) string {
	raw, _ := json.Marshal(value) // cannot fail for these four types
	return string(raw)
}
