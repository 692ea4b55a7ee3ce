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

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/replace"
)

// Version is the format of the data directory. A directory with a higher version
// was written by a newer program and is refused.
const Version = 1

// LogName begins the names of the files that scripts/up.sh logs to.
const LogName = "laterna.log"

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
// root, else laterna under $XDG_DATA_HOME (~/.local/share). It is empty where neither
// that nor HOME is set.
func Default() string {
	if os.Geteuid() == 0 {
		return "/var/lib/laterna"
	}
	base, home := os.Getenv("XDG_DATA_HOME"), os.Getenv("HOME")
	switch {
	case base != "":
		return filepath.Join(base, "laterna")
	case home != "":
		return filepath.Join(home, ".local", "share", "laterna")
	}
	return ""
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
// 0700, and checks the format version. It fails on a directory of a newer version, and
// leaves alone a directory that holds anything else.
func Open(path string) (Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return Dir{}, fmt.Errorf("making data directory: %w (choose another with --data-dir)", err)
	}
	d, err := Locate(path)
	if err != nil {
		return Dir{}, err
	}
	if err := d.Check(); err != nil {
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
	return d, d.writeVersion()
}

func (d Dir) versionFile() string { return filepath.Join(d.Path, "version") }

func (d Dir) writeVersion() error {
	if _, err := os.Stat(d.versionFile()); err == nil {
		return nil
	}
	if err := replace.File(d.versionFile(), []byte(strconv.Itoa(Version)+"\n"), 0o600); err != nil {
		return fmt.Errorf("writing format version: %w", err)
	}
	return nil
}

// Check tells whether the directory, which exists, is empty or a data directory of
// this version or an older one. It changes nothing.
func (d Dir) Check() error {
	file := d.versionFile()
	raw, err := bounded.File(file, bounded.Small)
	if errors.Is(err, os.ErrNotExist) {
		return d.checkEmpty()
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

// checkEmpty keeps a home directory that was given by mistake from being closed to
// others and, later, purged. What a new file system holds does not count, nor does what a
// start leaves that was killed: its log, its lock, half of a version.
func (d Dir) checkEmpty() error {
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return fmt.Errorf("reading data directory: %w", err)
	}
	for _, e := range entries {
		ours := strings.HasPrefix(e.Name(), LogName) || e.Name() == lockName || replace.Unfinished(e.Name(), d.versionFile())
		if e.Name() != "lost+found" && !ours {
			return fmt.Errorf("%s is not a data directory of laterna: it holds other things, such as %s; give --data-dir an empty or new directory, or one of laterna", d.Path, e.Name())
		}
	}
	return nil
}

// Begun tells whether a system was ever started on the directory.
func (d Dir) Begun() bool {
	_, err := os.Stat(d.versionFile())
	return err == nil
}

// Purge removes the directory. It must be one that Check accepts.
func (d Dir) Purge() error {
	if err := d.Check(); err != nil {
		return err
	}
	if err := os.RemoveAll(d.Path); err != nil {
		return fmt.Errorf("removing the data: %w", err)
	}
	return nil
}

// lockName is the file that a process locks which runs on the directory.
const lockName = "lock"

// ErrLocked says that another process runs on the data directory.
var ErrLocked = errors.New("another laterna runs on this data directory")

// Lock takes the data directory for this process until release is called or the
// process ends. It returns ErrLocked (wrapped) when another process holds it.
func (d Dir) Lock() (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(d.Path, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening lock: %w", err)
	}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, wholeFile()); err != nil {
		pid, _ := bounded.File(f.Name(), bounded.Small)
		f.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return nil, fmt.Errorf("%s: %w (process %s); with the same --data-dir, `laterna status` looks at it and `laterna down` stops it", d.Path, ErrLocked, strings.TrimSpace(string(pid)))
		}
		return nil, fmt.Errorf("locking %s: %w", d.Path, err)
	}
	// A disk without room for a first number must not keep `laterna down` from its work.
	_ = writeOwner(f)
	return func() { f.Close() }, nil
}

// writeOwner writes this process's number over the one before. The file is not emptied
// first: on a full disk it would stay so, and nobody would find the process.
func writeOwner(f *os.File) error {
	line := fmt.Sprintf("%d\n", os.Getpid())
	if _, err := f.WriteAt([]byte(line), 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(line)))
}

// wholeFile describes the lock, which belongs to the open file: it ends with the process
// and cannot be lost by closing another descriptor of the file (fcntl(2), F_OFD_SETLK).
func wholeFile() *unix.Flock_t { return &unix.Flock_t{Type: unix.F_WRLCK} }

// Owner returns the process that holds the lock, or 0 when none does. It only asks, so
// that looking never keeps a process from starting.
func (d Dir) Owner() int {
	f, err := os.OpenFile(filepath.Join(d.Path, lockName), os.O_RDWR, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	lock := wholeFile()
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, lock); err != nil || lock.Type == unix.F_UNLCK {
		return 0
	}
	raw := make([]byte, 20)
	n, _ := f.Read(raw)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(raw[:n])))
	return pid
}
