// Package mounts lists and removes mounts below a directory.
//
// It owns the reading of /proc/self/mountinfo for cleaning up; making mounts lives
// with those who need them.
package mounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is one line of mountinfo.
type Mount struct {
	// Point is where the mount is, as this process sees it.
	Point string
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
	all, err := parse(f)
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

// parse reads mountinfo (proc_pid_mountinfo(5)).
func parse(r io.Reader) ([]Mount, error) {
	var all []Mount
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // overlay options can be long
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 6 {
			return nil, fmt.Errorf("line %q is not of mountinfo", lines.Text())
		}
		kind, _, _ := strings.Cut(after, " ")
		all = append(all, Mount{Point: unescape.Replace(fields[4]), Type: kind})
	}
	return all, lines.Err()
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
