package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/cgroups"
)

// machine reads files below root, which tests replace.
type machine struct{ root string }

func (m machine) read(path string) (string, error) {
	raw, err := bounded.File(filepath.Join(m.root, path), bounded.Small)
	return strings.TrimSpace(string(raw)), err
}

// release is the kernel's, such as 6.1.0-18-amd64.
func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// kernelFeature looks for a module that is loaded, built in, or can be loaded.
func (m machine) kernelFeature(name, module, why string) Check {
	c := Check{Name: name, Required: true}
	switch {
	case m.loaded(module):
		c.OK, c.Detail = true, "there"
	case m.loadable(module, release()):
		c.OK, c.Detail = true, "the kernel loads it when needed"
	default:
		c.Detail = fmt.Sprintf("the kernel has no module %s (%s)", module, why)
		c.Fix = "modprobe " + module
	}
	return c
}

func (m machine) loaded(module string) bool {
	if _, err := os.Stat(filepath.Join(m.root, "sys/module", module)); err == nil {
		return true
	}
	filesystems, err := m.read("proc/filesystems")
	return err == nil && slices.Contains(strings.Fields(filesystems), module)
}

func (m machine) loadable(module, release string) bool {
	for _, list := range []string{"modules.builtin", "modules.dep"} {
		raw, err := bounded.File(filepath.Join(m.root, "lib/modules", release, list), bounded.Table)
		if err == nil && (bytes.Contains(raw, []byte("/"+module+".ko"))) {
			return true
		}
	}
	return false
}

// openat2 is how paths are kept inside a volume (openat2(2), since Linux 5.6).
func openat2() Check {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH})
	if err == nil {
		unix.Close(fd)
	}
	c := Check{Name: "openat2", Required: true, OK: !errors.Is(err, unix.ENOSYS), Detail: "kernel " + release()}
	if !c.OK {
		c.Detail += " is older than 5.6; volumes are written through openat2(2)"
	}
	return c
}

func controlGroups() Check {
	c := Check{Name: "control groups", Required: true}
	h, err := cgroups.Detect()
	if err != nil {
		c.Detail, c.Fix = err.Error(), "mount -t cgroup2 none /sys/fs/cgroup"
		return c
	}
	version := "1"
	if h.Unified {
		version = "2"
	}
	c.OK, c.Detail = true, fmt.Sprintf("version %s, driver %s", version, h.Driver)
	return c
}

// inotify limits are per user; every watch of a file by any program counts.
func (m machine) inotify() Check {
	c := Check{Name: "inotify", OK: true}
	for _, limit := range []struct {
		name  string
		least int
	}{{"max_user_instances", 128}, {"max_user_watches", 8192}} {
		text, err := m.read("proc/sys/fs/inotify/" + limit.name)
		if err != nil {
			return Check{Name: c.Name, Detail: err.Error()}
		}
		value, err := strconv.Atoi(text)
		if err != nil {
			return Check{Name: c.Name, Detail: fmt.Sprintf("%s is %q", limit.name, text)}
		}
		c.Detail = strings.TrimPrefix(fmt.Sprintf("%s, %s %d", c.Detail, limit.name, value), ", ")
		if value < limit.least {
			c.OK = false
			c.Fix = strings.TrimPrefix(fmt.Sprintf("%s; sysctl -w fs.inotify.%s=%d", c.Fix, limit.name, limit.least), "; ")
		}
	}
	return c
}

// swap matters because volumes with secrets are in memory: tmpfs keeps out of swap on
// request (noswap) since Linux 6.4 only.
func (m machine) swap() Check {
	c := Check{Name: "secrets in memory", OK: true}
	swaps, err := m.read("proc/swaps")
	if err != nil || len(strings.Split(swaps, "\n")) < 2 {
		c.Detail = "no swap"
		return c
	}
	if atLeast(release(), 6, 4) {
		c.Detail = "volumes are kept out of swap"
		return c
	}
	c.OK, c.Fix = false, "swapoff -a"
	c.Detail = fmt.Sprintf("swap is on and kernel %s cannot keep a tmpfs out of it (6.4 can): secrets may be written to disk", release())
	return c
}

// atLeast compares the first two numbers of a kernel's release.
func atLeast(release string, major, minor int) bool {
	var a, b int
	if _, err := fmt.Sscanf(release, "%d.%d", &a, &b); err != nil {
		return false
	}
	return a > major || a == major && b >= minor
}
