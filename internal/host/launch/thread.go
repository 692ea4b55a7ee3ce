package launch

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Values of sigaction(2).
const (
	sigDefault = 0
	sigIgnore  = 1
)

// setAction sets what the process does on a signal that Go does not know.
func setAction(signal int, handler uint64) {
	action := struct{ handler, flags, restorer, mask uint64 }{handler: handler}
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
}

const (
	// umask is a service's. Files that hold secrets are made with modes of their own; the
	// caller's umask must neither open them nor close to containers what is made for them.
	umask = 0o022
	// timerSlack is the kernel's default in nanoseconds.
	timerSlack = 50_000
	// ioprioProcess is IOPRIO_WHO_PROCESS of ioprio_set(2).
	ioprioProcess = 1
	// perLinux is PER_LINUX of personality(2), without any flag.
	perLinux = 0
)

// asServiceThread gives the calling thread, which must end afterwards, a service's values
// of all that a thread has for itself and hands on to a process that it makes. kept names
// what it may not change. Go's own calls for some of these act on all threads, so the
// kernel is called.
func asServiceThread() (kept []string) {
	// Where a sandbox refuses this the umask of the whole process changes; nothing here
	// relies on another one.
	_ = unix.Unshare(unix.CLONE_FS)
	unix.Umask(umask)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil)
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_NORMAL}, 0); err != nil {
		kept = append(kept, "the scheduling priority")
	}
	var all unix.CPUSet
	for cpu := range 8 * int(unsafe.Sizeof(all)) {
		all.Set(cpu)
	}
	_ = unix.SchedSetaffinity(0, &all)
	_ = unix.SetMemPolicy(unix.MPOL_DEFAULT, nil)
	raw(unix.SYS_IOPRIO_SET, ioprioProcess, 0, 0)
	raw(unix.SYS_PERSONALITY, perLinux, 0, 0)
	raw(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, timerSlack, 0)
	raw(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0)
	raw(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, 0, 0)
	dropInheritable()
	raw(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0)
	if unix.Geteuid() == 0 {
		raw(unix.SYS_SETGROUPS, 0, 0, 0)
		raw(unix.SYS_SETRESGID, 0, 0, 0)
	}
	return kept
}

// dropInheritable empties the thread's inheritable capabilities.
func dropInheritable() {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if unix.Capget(&header, &sets[0]) == nil {
		sets[0].Inheritable, sets[1].Inheritable = 0, 0
		_ = unix.Capset(&header, &sets[0])
	}
}

// raw calls the kernel for this thread alone. An error leaves things as they were.
func raw(call, a, b, c uintptr) { _, _, _ = unix.RawSyscall6(call, a, b, c, 0, 0, 0) }
