package cgroups

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"laterna.dev/laterna/internal/bounded"
)

// Usage is what the processes of a group take together.
type Usage struct {
	// Memory is what could not be had back at once, in bytes: what is in use but for the
	// files that nobody has read lately.
	Memory int64
	// Pids are processes and threads.
	Pids int64
}

// PodUsage is what a pod takes, and each of its containers by the runtime's ID. A
// controller that the machine does not have counts nothing.
func (h Hierarchy) PodUsage(name, podUID string) (pod Usage, containers map[string]Usage, err error) {
	memory, err := h.groupOf("memory", name, podUID)
	if err != nil {
		return Usage{}, nil, err
	}
	pids, err := h.groupOf("pids", name, podUID)
	if err != nil {
		return Usage{}, nil, err
	}
	pod = h.usage(memory, pids)
	containers = map[string]Usage{}
	below, err := os.ReadDir(memory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Usage{}, nil, fmt.Errorf("listing control groups of a pod: %w", err)
	}
	for _, e := range below {
		if !e.IsDir() {
			continue
		}
		containers[containerOf(e.Name())] = h.usage(filepath.Join(memory, e.Name()), filepath.Join(pids, e.Name()))
	}
	return pod, containers, nil
}

// containerOf is the runtime's ID of the container whose group has a name: systemd's are
// <runtime>-<id>.scope.
func containerOf(name string) string {
	id := strings.TrimSuffix(name, ".scope")
	return id[strings.LastIndexByte(id, '-')+1:]
}

// usedFile is the file that tells how much memory a group uses.
func (h Hierarchy) usedFile() string {
	if h.Unified {
		return "memory.current"
	}
	return "memory.usage_in_bytes"
}

// groupOf is the directory in which a controller has a pod.
func (h Hierarchy) groupOf(controller, name, podUID string) (string, error) {
	if name == "" || podUID == "" {
		return "", fmt.Errorf("the control group of pod %q of %q is not known", podUID, name)
	}
	at := h.relative(h.Pod(name, podUID))
	if h.Unified {
		return filepath.Join(h.root, at), nil
	}
	return filepath.Join(h.root, controller, at), nil
}

func (h Hierarchy) usage(memory, pids string) (u Usage) {
	inactive := "total_inactive_file"
	if h.Unified {
		inactive = "inactive_file"
	}
	u.Memory = max(number(filepath.Join(memory, h.usedFile()))-statOf(filepath.Join(memory, "memory.stat"), inactive), 0)
	u.Pids = number(filepath.Join(pids, "pids.current"))
	return u
}

// number reads a file that holds one, 0 where it cannot be read.
func number(file string) int64 {
	raw, err := bounded.File(file, bounded.Small)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	return n
}

// statOf reads one number of a file of names and numbers.
func statOf(file, name string) int64 {
	raw, err := bounded.File(file, bounded.Small)
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), " "); ok && key == name {
			n, _ := strconv.ParseInt(value, 10, 64)
			return n
		}
	}
	return 0
}
