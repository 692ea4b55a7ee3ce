// Package machine reads what the agent reports about the machine it runs on: its
// size, its identity and address, and whether memory, disk or process numbers run short.
//
// It owns reading /proc, /sys and file systems; what the node object says with it is
// internal/node/registration's.
package machine

import (
	"bufio"
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

// Facts are what does not change while the machine runs. Sizes are in bytes.
type Facts struct {
	CPUs       int
	Memory     int64
	Swap       int64
	Disk       int64
	MachineID  string
	SystemUUID string
	BootID     string
	Kernel     string
	OSImage    string
	OS         string
	Arch       string
}

// Read returns the facts; dir is on the file system that counts as the node's disk.
// An identity that the machine does not have is empty.
func Read(dir string) (Facts, error) {
	mem, err := memInfo()
	if err != nil {
		return Facts{}, err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return Facts{}, fmt.Errorf("asking for the size of the disk under %s: %w", dir, err)
	}
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return Facts{}, fmt.Errorf("asking for the kernel's name: %w", err)
	}
	return Facts{
		CPUs:       runtime.NumCPU(),
		Memory:     mem["MemTotal"],
		Swap:       mem["SwapTotal"],
		Disk:       int64(disk.Blocks) * disk.Bsize,
		MachineID:  firstLine("/etc/machine-id", "/var/lib/dbus/machine-id"),
		SystemUUID: firstLine("/sys/class/dmi/id/product_uuid", "/etc/machine-id"),
		BootID:     firstLine("/proc/sys/kernel/random/boot_id"),
		Kernel:     unix.ByteSliceToString(kernel.Release[:]),
		OSImage:    osImage(),
		OS:         runtime.GOOS,
		Arch:       runtime.GOARCH,
	}, nil
}

// The shares of the disk below which it runs short; those of a kubelet's hard eviction.
const (
	minDiskShare  = 10 // percent of the disk
	minInodeShare = 5  // percent of the inodes
)

// DiskShort tells whether the disk runs short; dir as for Read.
func DiskShort(dir string) (bool, error) {
	room, err := RoomOf(dir)
	if err != nil {
		return false, err
	}
	return room.Bytes*100 < room.AllBytes*minDiskShare || room.FewInodes(), nil
}

// MemoryLeft is how much memory could be had now, of how much, in bytes. known is false
// where the kernel does not tell.
func MemoryLeft() (left, all int64, known bool) {
	mem, err := memInfo()
	if err != nil {
		return 0, 0, false
	}
	left, known = mem["MemAvailable"]
	return left, mem["MemTotal"], known && mem["MemTotal"] > 0
}

// PIDsLeft is how many processes and threads can still be made, of how many.
func PIDsLeft() (left, all int64, known bool) {
	used, limit := pids()
	return max(limit-used, 0), limit, limit > 0 && used > 0
}

// pids returns how many processes and threads there are, and how many there may be.
func pids() (used, limit int64) {
	limit, _ = strconv.ParseInt(firstLine("/proc/sys/kernel/pid_max"), 10, 64)
	// The fourth field is "<runnable>/<all>".
	if fields := strings.Fields(firstLine("/proc/loadavg")); len(fields) > 3 {
		_, all, _ := strings.Cut(fields[3], "/")
		used, _ = strconv.ParseInt(all, 10, 64)
	}
	return used, limit
}

// memInfo is /proc/meminfo in bytes.
func memInfo() (map[string]int64, error) {
	data, err := bounded.File("/proc/meminfo", bounded.Small)
	if err != nil {
		return nil, fmt.Errorf("reading the machine's memory: %w", err)
	}
	return parseMemInfo(data), nil
}

func parseMemInfo(data []byte) map[string]int64 {
	out := map[string]int64{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		name, rest, ok := strings.Cut(lines.Text(), ":")
		fields := strings.Fields(rest)
		if !ok || len(fields) != 2 || fields[1] != "kB" {
			continue
		}
		if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
			out[name] = n << 10
		}
	}
	return out
}

func osImage() string {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		if data, err := bounded.File(path, bounded.Small); err == nil {
			return prettyName(data)
		}
	}
	return "Unknown"
}

// prettyName is PRETTY_NAME of an os-release(5) file.
func prettyName(data []byte) string {
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "PRETTY_NAME="); ok {
			return strings.Trim(value, `"'`)
		}
	}
	return "Unknown"
}

// firstLine is the first line of the first file that can be read.
func firstLine(paths ...string) string {
	for _, path := range paths {
		if data, err := bounded.File(path, bounded.Small); err == nil {
			line, _, _ := strings.Cut(string(data), "\n")
			return strings.TrimSpace(line)
		}
	}
	return ""
}
