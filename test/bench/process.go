package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/test/system"
)

// tick is the unit of CPU time in /proc/<pid>/stat, proc(5): USER_HZ, 100 on Linux.
const tick = 10 * time.Millisecond

// cpuTime is the user and system time of a process with all its threads, also those
// that have ended.
func cpuTime(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in parentheses and may hold anything.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, err
}

// memory is what the processes of a system occupy, in MiB.
type memory struct {
	rss, pss                   float64
	laterna, containerd, shims float64 // parts of rss
	dns                        float64 // and of it, what answers for names
	processes                  int
}

// parts tells where the memory is.
func (m memory) parts() string {
	out := "laterna " + number(m.laterna)
	if m.dns > 0 {
		out += ", DNS " + number(m.dns)
	}
	if m.containerd > 0 {
		out += ", containerd " + number(m.containerd)
	}
	if m.shims > 0 {
		out += ", shims " + number(m.shims)
	}
	return out + "; PSS " + number(m.pss) + " MiB"
}

// processes returns the processes of a system: laterna, its containerd and its
// shims, which all name the data or run directory in their arguments.
func processes(s *system.System) ([]int, error) {
	dir, err := datadir.Locate(s.Dir)
	if err != nil {
		return nil, err
	}
	cmdlines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range cmdlines {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		if bytes.Contains(raw, []byte(s.Dir)) || bytes.Contains(raw, []byte(dir.RunDir)) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// occupied sums the memory of a system's processes. Pages that processes share
// count in each one's RSS, and once in the sum of PSS.
func occupied(s *system.System) (memory, error) {
	pids, err := processes(s)
	if err != nil {
		return memory{}, err
	}
	var m memory
	for _, pid := range pids {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return memory{}, fmt.Errorf("reading memory: %w", err)
		}
		m.add(pid, rollup(string(raw), "Rss:"), rollup(string(raw), "Pss:"))
	}
	return m, nil
}

func (m *memory) add(pid int, rss, pss float64) {
	m.rss, m.pss, m.processes = m.rss+rss, m.pss+pss, m.processes+1
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	switch comm := strings.TrimSpace(string(name)); {
	case comm == "laterna":
		m.laterna += rss
	case comm == "laterna-dns":
		m.dns += rss
	case comm == "containerd":
		m.containerd += rss
	default: // the kernel cuts containerd-shim-runc-v2
		m.shims += rss
	}
}

// rollup finds a line of smaps_rollup, in MiB.
func rollup(raw, key string) float64 {
	for line := range strings.Lines(raw) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == key {
			kib, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				return 0
			}
			return kib / 1024
		}
	}
	return 0
}

// withEnviron returns a process for every value of an environment variable, the
// first that has it.
func withEnviron(name string) (map[string]int, error) {
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, path := range environs {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		for variable := range strings.SplitSeq(string(raw), "\x00") {
			key, value, _ := strings.Cut(variable, "=")
			if key != name {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return nil, err
			}
			if old, ok := found[value]; !ok || pid < old {
				found[value] = pid
			}
		}
	}
	return found, nil
}
