package containerd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/replace"
)

// Programs are the paths of what running containers needs.
type Programs struct {
	Containerd string
	Shim       string
	Runc       string
	// CNI is the directory that holds the network plugins.
	CNI string
}

// Plugins are the CNI plugins that the pod network uses.
var Plugins = []string{"bridge", "host-local", "loopback"}

// searchPath is where programs are looked for after PATH: a shell of a user often
// lacks the sbin directories.
var searchPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// cniPath is where distributions and upstream put the network plugins.
var cniPath = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// MissingError names programs that were not found.
type MissingError struct {
	// Programs are the names, CNI plugins as "CNI plugin bridge".
	Programs []string
	// Packages are the Debian packages that bring them.
	Packages []string
}

// Error implements error, with the command that mends it.
func (e *MissingError) Error() string {
	return fmt.Sprintf("not found: %s (install with: %s)", strings.Join(e.Programs, ", "), e.Fix())
}

// Fix is the command that installs what is missing on Debian and Ubuntu.
func (e *MissingError) Fix() string {
	return "apt-get install --no-remove --no-install-recommends " + strings.Join(e.Packages, " ")
}

func (e *MissingError) add(program, pkg string) {
	e.Programs = append(e.Programs, program)
	if len(e.Packages) == 0 || e.Packages[len(e.Packages)-1] != pkg {
		e.Packages = append(e.Packages, pkg)
	}
}

// FindPrograms looks in PATH and in the usual directories. Its error is a
// *MissingError that names all that is missing.
func FindPrograms() (Programs, error) {
	var p Programs
	var missing MissingError
	for _, want := range []struct {
		to        *string
		name, pkg string
	}{
		{&p.Containerd, "containerd", "containerd"},
		{&p.Shim, "containerd-shim-runc-v2", "containerd"},
		{&p.Runc, "runc", "runc"},
	} {
		if *want.to = LookPath(want.name); *want.to == "" {
			missing.add(want.name, want.pkg)
		}
	}
	p.CNI = findPlugins(&missing)
	if len(missing.Programs) > 0 {
		return p, &missing
	}
	return p, nil
}

// findPlugins returns the first directory that holds all plugins.
func findPlugins(missing *MissingError) string {
	fewest := Plugins
	for _, dir := range append(filepath.SplitList(os.Getenv("CNI_PATH")), cniPath...) {
		var lacks []string
		for _, name := range Plugins {
			if !executable(filepath.Join(dir, name)) {
				lacks = append(lacks, name)
			}
		}
		if len(lacks) == 0 {
			return dir
		}
		if len(lacks) < len(fewest) {
			fewest = lacks
		}
	}
	for _, name := range fewest {
		missing.add("CNI plugin "+name, "containernetworking-plugins")
	}
	return ""
}

// LookPath finds a program in PATH and in the system's program directories; it
// returns "" when there is none.
func LookPath(name string) string {
	if path, err := exec.LookPath(name); err == nil && filepath.IsAbs(path) {
		return path
	}
	for _, dir := range searchPath {
		if path := filepath.Join(dir, name); executable(path) {
			return path
		}
	}
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// version is that of containerd, and which file said so.
type version struct {
	File  string `json:"file"`
	Major int    `json:"major"`
	Minor int    `json:"minor"`
	Text  string `json:"text"`
}

// findVersion asks the program for its version. The answer is kept in dir, since
// asking takes as long as half a start of the daemon, and is asked again when the
// program's file changes.
func findVersion(ctx context.Context, program, dir string) (version, error) {
	id, err := fileIdentity(program)
	if err != nil {
		return version{}, err
	}
	cache := filepath.Join(dir, "version.json")
	var v version
	if raw, err := bounded.File(cache, bounded.Small); err == nil && json.Unmarshal(raw, &v) == nil && v.File == id {
		return v, nil
	}
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return version{}, fmt.Errorf("asking %s for its version: %w", program, err)
	}
	if v, err = parseVersion(string(out)); err != nil {
		return version{}, fmt.Errorf("asking %s for its version: %w", program, err)
	}
	v.File = id
	raw, err := json.Marshal(v)
	if err != nil {
		return version{}, fmt.Errorf("keeping containerd's version: %w", err)
	}
	if err := replace.Unsynced(cache, raw, 0o600); err != nil {
		return version{}, fmt.Errorf("keeping containerd's version: %w", err)
	}
	return v, nil
}

// parseVersion reads `containerd github.com/containerd/containerd 1.6.20~ds1 …`.
func parseVersion(out string) (version, error) {
	for _, word := range strings.Fields(out) {
		text := strings.TrimPrefix(word, "v")
		parts := strings.SplitN(text, ".", 3)
		if len(parts) < 2 {
			continue
		}
		major, err1 := strconv.Atoi(parts[0])
		minor, err2 := strconv.Atoi(parts[1])
		if err1 == nil && err2 == nil {
			return version{Major: major, Minor: minor, Text: text}, nil
		}
	}
	return version{}, fmt.Errorf("no version in %q", strings.TrimSpace(out))
}

// losesOutput reports whether this containerd closes the streams of a container that has
// ended before it has read them to their end, as 1.5 to 1.6.21 and 1.7.0 to 1.7.2 do.
func (v version) losesOutput() bool {
	if v.Major != 1 || v.Minor > 7 {
		return false
	}
	_, after, _ := strings.Cut(v.Text, ".")
	_, patch, _ := strings.Cut(after, ".")
	if i := strings.IndexFunc(patch, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		patch = patch[:i]
	}
	n, err := strconv.Atoi(patch)
	switch {
	case err != nil:
		return true // such as a build of a branch: a second reader does no harm
	case v.Minor == 7:
		return n <= 2
	case v.Minor == 6:
		return n <= 21
	}
	return true
}

// fileIdentity changes whenever a package upgrade replaces the file.
func fileIdentity(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", fmt.Errorf("looking at %s: %w", path, err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d %d %d", path, st.Dev, st.Ino, st.Size, st.Mtim.Nano()))
	return hex.EncodeToString(sum[:8]), nil
}
