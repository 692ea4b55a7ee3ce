package server

import (
	"fmt"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// softMemory is what the collector keeps the process within; upstream's add-on may
	// have 170 MiB.
	softMemory = 128 << 20
	// hardMemory is how much it may map that can be written, RLIMIT_DATA: the heap comes in
	// pieces of 64 MiB, of which most is never touched. Beyond it the process ends, and
	// another one begins.
	hardMemory = 512 << 20
	// nobody is the user without rights.
	nobody = 65534
)

// confine bounds the process's memory and gives up what rights it has: who answers
// anybody's packets need not be root.
func confine() error {
	debug.SetMemoryLimit(softMemory)
	limit := unix.Rlimit{Cur: hardMemory, Max: hardMemory}
	if err := unix.Prlimit(0, unix.RLIMIT_DATA, &limit, nil); err != nil {
		return fmt.Errorf("bounding the memory of cluster DNS: %w", err)
	}
	if syscall.Geteuid() != 0 {
		return nil
	}
	for _, drop := range []func() error{
		func() error { return syscall.Setgroups(nil) },
		func() error { return syscall.Setresgid(nobody, nobody, nobody) },
		func() error { return syscall.Setresuid(nobody, nobody, nobody) },
	} {
		if err := drop(); err != nil {
			return fmt.Errorf("giving up the rights of cluster DNS: %w", err)
		}
	}
	return nil
}
