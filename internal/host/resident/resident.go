// Package resident gives memory back that only the start of the process needed.
//
// A start runs most of the program's code once and parses what it never looks at
// again. Without this, those pages stay mapped, and count as the process's, for as
// long as it runs. What is needed again comes back from the page cache.
//
// It owns how the collector works and what it leaves; when a start begins and is over is
// internal/app/up's to say.
package resident

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

// Release collects garbage, returns free memory to the kernel and drops the
// program's code and constants from the process's page tables, madvise(2). It takes
// some ten milliseconds, during which other goroutines run. It may be called at any
// time and again.
func Release() error {
	debug.FreeOSMemory()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("finding the program's file: %w", err)
	}
	maps, err := bounded.File("/proc/self/maps", bounded.Table)
	if err != nil {
		return fmt.Errorf("reading the program's mappings: %w", err)
	}
	for _, m := range constant(maps, exe) {
		if err := unix.Madvise(m.bytes(), unix.MADV_DONTNEED); err != nil {
			return fmt.Errorf("dropping %x-%x: %w", m.begin, m.end, err)
		}
	}
	return nil
}

// mapping is a range of addresses.
type mapping struct{ begin, end uintptr }

// bytes is the memory of the range. The range is the program's own file, which
// stays mapped for the life of the process.
func (m mapping) bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), m.begin)), m.end-m.begin)
}

// constant returns the mappings of a file that the process cannot write to, from
// the text of /proc/<pid>/maps, proc(5). Writable ones hold the process's own
// changes and are never among them.
func constant(maps []byte, file string) []mapping {
	var out []mapping
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		// address perms offset dev inode path
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || !strings.HasSuffix(lines.Text(), " "+file) {
			continue
		}
		if perms := fields[1]; len(perms) != 4 || perms[0] != 'r' || perms[1] != '-' || perms[3] != 'p' {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		begin, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil && begin < end {
			out = append(out, mapping{uintptr(begin), uintptr(end)})
		}
	}
	return out
}
