package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"laterna.dev/laterna/internal/bounded"
)

// ChangePod changes limits of the group of one pod that was made; zero values change
// nothing. Its error is fs.ErrNotExist when there is no such group.
func (h Hierarchy) ChangePod(name, podUID string, l Limits) error {
	parent := h.Pod(name, podUID)
	dirs, err := h.dirs(parent)
	if err == nil && len(dirs) == 0 {
		err = fmt.Errorf("limiting control group %s: %w", parent, fs.ErrNotExist)
	}
	if err != nil {
		return err
	}
	switch {
	case h.Driver == Systemd:
		properties := l.properties()
		if len(properties) == 0 {
			return nil
		}
		args := []string{"SetUnitProperties", "sba(sv)", parent, "true", strconv.Itoa(len(properties) / 3)}
		return h.askSystemd(parent, append(args, properties...))
	case h.Unified:
		return write(dirs[0], append(l.unified(), l.pids()...))
	}
	return errors.Join(
		h.changeController("cpu", parent, l.cpu()),
		h.changeController("memory", parent, l.memory()),
		h.changeController("pids", parent, l.pids()),
	)
}

// changeController changes a group of version 1 where this machine has the controller.
func (h Hierarchy) changeController(controller, parent string, files []file) error {
	dir := filepath.Join(h.root, controller, h.relative(parent))
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return write(dir, files)
}

// MemoryUsed is how much memory the group of one pod uses, in bytes and as the kernel
// counts it against a limit, or that of a container in it, by its ID. Its error is
// fs.ErrNotExist when there is no such group.
func (h Hierarchy) MemoryUsed(name, podUID, container string) (int64, error) {
	dir, err := h.groupOf("memory", name, podUID)
	if err != nil {
		return 0, err
	}
	if container != "" {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return 0, fmt.Errorf("looking for the control group of container %s: %w", container, err)
		}
		i := slices.IndexFunc(entries, func(e fs.DirEntry) bool { return e.IsDir() && containerOf(e.Name()) == container })
		if i < 0 {
			return 0, fmt.Errorf("looking for the control group of container %s in %s: %w", container, dir, fs.ErrNotExist)
		}
		dir = filepath.Join(dir, entries[i].Name())
	}
	file := filepath.Join(dir, h.usedFile())
	raw, err := bounded.File(file, bounded.Small)
	if err != nil {
		return 0, fmt.Errorf("reading the memory use of a control group: %w", err)
	}
	used, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the memory use of a control group: %s: %w", file, err)
	}
	return used, nil
}
