package mounts

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Layers mounts directories over one another onto target, the first of them on top.
// Nobody can write there, whatever options the mount gets later: what is under it is the
// directories' own. target must be empty.
//
// The directories are named from the one that all lie in, since the kernel takes no more
// than a page of options.
func Layers(target string, dirs []string) error {
	if len(dirs) == 0 {
		return errors.New("mounting layers: there are none")
	}
	above := filepath.Dir(dirs[0])
	for _, dir := range dirs[1:] {
		for !within(dir, above) {
			above = filepath.Dir(above)
		}
	}
	lower := make([]string, 0, len(dirs)+1)
	for _, dir := range dirs {
		rel, err := filepath.Rel(above, dir)
		if err != nil {
			return fmt.Errorf("mounting layers: %w", err)
		}
		if strings.ContainsAny(rel, `:,\`) {
			return fmt.Errorf("mounting layers: the kernel takes no directory with a colon, a comma or a backslash in its name: %s", dir)
		}
		lower = append(lower, rel)
	}
	// Without an upper directory there must be two lower ones. The empty target is one
	// that is always there.
	options := "lowerdir=" + strings.Join(append(lower, target), ":")
	return inDir(above, func() error {
		if err := unix.Mount("overlay", target, "overlay", unix.MS_RDONLY, options); err != nil {
			return fmt.Errorf("mounting %d layers: %w", len(dirs), err)
		}
		return nil
	})
}

// inDir does something with dir as its working directory, which the rest of the process
// does not see: on a thread of its own, which ends with it.
func inDir(dir string, do func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and not unlocked: no other goroutine gets this thread
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			result <- fmt.Errorf("leaving the working directory: %w", err)
			return
		}
		if err := unix.Chdir(dir); err != nil {
			result <- fmt.Errorf("changing to %s: %w", dir, err)
			return
		}
		result <- do()
	}()
	return <-result
}
