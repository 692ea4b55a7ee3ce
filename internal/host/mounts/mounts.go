// Package mounts lists and removes mounts below a directory.
//
// It owns the reading of mountinfo, and cleaning up by it; making mounts lives with
// those who need them.
package mounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is one line of mountinfo.
type Mount struct {
	// ID is the mount's number, Parent that of the mount it is in.
	ID, Parent uint64
	// Device is the file system's number, as stat has it.
	Device uint64
	// Root is the file of the file system that the mount shows. One that was removed
	// since ends in "//deleted".
	Root string
	// Point is where the mount is, as the process that is asked sees it.
	Point string
	// Options are the mount's own, such as ro and nosuid.
	Options []string
	// Propagation says shared:N, master:N, propagate_from:N and unbindable; none is
	// private.
	Propagation []string
	// Type is the file system's type, such as tmpfs or overlay.
	Type string
}

// Under returns the mounts below dir, in the order in which they were made. A mount
// on dir itself is not among them: it may be the user's disk.
func Under(dir string) ([]Mount, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	defer f.Close()
	all, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	var found []Mount
	for _, m := range all {
		if within(m.Point, filepath.Clean(dir)) {
			found = append(found, m)
		}
	}
	return found, nil
}

func within(path, dir string) bool {
	return path != dir && strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// Read reads mountinfo (proc_pid_mountinfo(5)).
func Read(r io.Reader) ([]Mount, error) {
	var all []Mount
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // overlay options can be long
	for lines.Scan() {
		m, err := parse(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("line %q is not of mountinfo: %w", lines.Text(), err)
		}
		all = append(all, m)
	}
	return all, lines.Err()
}

func parse(line string) (m Mount, err error) {
	before, after, ok := strings.Cut(line, " - ")
	fields := strings.Fields(before)
	if !ok || len(fields) < 6 {
		return m, errors.New("fields are missing")
	}
	major, minor, _ := strings.Cut(fields[2], ":")
	var numbers [4]uint64
	for i, text := range []string{fields[0], fields[1], major, minor} {
		if numbers[i], err = strconv.ParseUint(text, 10, 32); err != nil {
			return m, err
		}
	}
	m.ID, m.Parent, m.Device = numbers[0], numbers[1], unix.Mkdev(uint32(numbers[2]), uint32(numbers[3]))
	m.Root, m.Point = unescape.Replace(fields[3]), unescape.Replace(fields[4])
	m.Options, m.Propagation = strings.Split(fields[5], ","), fields[6:]
	m.Type, _, _ = strings.Cut(after, " ")
	return m, nil
}

// unescape undoes the octal escapes of mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// Remove unmounts everything below dir, the newest mounts first. A mount in
// use disappears from the tree at once and ends with its last user.
func Remove(dir string) error {
	found, err := Under(dir)
	if err != nil {
		return err
	}
	var errs []error
	for i := len(found) - 1; i >= 0; i-- {
		err := unix.Unmount(found[i].Point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", found[i].Point, err))
		}
	}
	return errors.Join(errs...)
}
