// Package datadir names everything that belongs to one data directory: the files
// in it, its run directory for sockets, and the host-global things (bridge, nft
// table, cgroup) that carry its hash so that several systems share a machine.
//
// It owns names, the format version and the lock; what is in the files lives with
// the packages that write them.
package datadir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Version is the format of the data directory. A directory with a higher version
// was written by a newer program and is refused.
const Version = 1

// Dir is a data directory that exists. The zero value is not usable; Open makes it.
type Dir struct {
	// Path is absolute and free of symbolic links.
	Path string
	// Hash is the first 8 hexadecimal digits of SHA-256 of Path.
	Hash string
	// RunDir holds sockets and state that must not survive a reboot.
	RunDir string
}

// Default returns the data directory used when none is given: /var/lib/laterna for
// root, else laterna under $XDG_DATA_HOME (~/.local/share).
func Default() string {
	if os.Geteuid() == 0 {
		return "/var/lib/laterna"
	}
	base := os.Getenv("XDG_DATA_HOME")
	if base == "" {
		base = filepath.Join(os.Getenv("HOME"), ".local", "share")
	}
	return filepath.Join(base, "laterna")
}

// Locate names the data directory at path without making or changing anything.
// The directory need not exist.
func Locate(path string) (Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Dir{}, fmt.Errorf("data directory %q: %w", path, err)
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	sum := sha256.Sum256([]byte(abs))
	hash := hex.EncodeToString(sum[:4])
	return Dir{Path: abs, Hash: hash, RunDir: filepath.Join(runBase(), "laterna", hash)}, nil
}

// runBase is where sockets go: /run for root, else the user's runtime directory.
func runBase() string {
	if os.Geteuid() == 0 {
		return "/run"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return dir
	}
	return filepath.Join(os.TempDir(), "laterna-"+strconv.Itoa(os.Geteuid()))
}

// Open makes the data directory and its run directory where they are missing, both
// 0700, and checks the format version. It fails on a directory of a newer version.
func Open(path string) (Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return Dir{}, fmt.Errorf("making data directory: %w (choose another with --data-dir)", err)
	}
	d, err := Locate(path)
	if err != nil {
		return Dir{}, err
	}
	for _, dir := range []string{d.Path, d.RunDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return Dir{}, fmt.Errorf("making run directory: %w", err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			return Dir{}, fmt.Errorf("closing directory to others: %w", err)
		}
	}
	return d, d.checkVersion()
}

func (d Dir) checkVersion() error {
	file := filepath.Join(d.Path, "version")
	raw, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return os.WriteFile(file, []byte(strconv.Itoa(Version)+"\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("reading format version: %w", err)
	}
	found, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return fmt.Errorf("format version in %s is %q, not a number; is this a data directory of laterna?", file, raw)
	}
	if found > Version {
		return fmt.Errorf("data directory %s has format %d, this program knows up to %d: use the newer laterna that wrote it", d.Path, found, Version)
	}
	return nil
}

// ErrLocked says that another process runs on the data directory.
var ErrLocked = errors.New("another laterna runs on this data directory")

// Lock takes the data directory for this process until release is called or the
// process ends. It returns ErrLocked (wrapped) when another process holds it.
func (d Dir) Lock() (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(d.Path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		pid, _ := os.ReadFile(f.Name())
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w (process %s)", d.Path, ErrLocked, strings.TrimSpace(string(pid)))
		}
		return nil, fmt.Errorf("locking %s: %w", d.Path, err)
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return func() { f.Close() }, nil
}

// Owner returns the process that holds the lock, or 0 when none does.
func (d Dir) Owner() int {
	f, err := os.OpenFile(filepath.Join(d.Path, "lock"), os.O_RDWR, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		return 0
	}
	raw := make([]byte, 20)
	n, _ := f.Read(raw)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(raw[:n])))
	return pid
}
