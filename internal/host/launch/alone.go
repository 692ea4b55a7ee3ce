package launch

import "golang.org/x/sys/unix"

// StandAlone frees this process of what its caller has set and what would keep it from
// its work: the umask, root's group, which volumes are made with, and soft limits that
// kill a store or a program of many threads. Soft limits of memory and processor time
// stay, as somebody may mean them. What would reach other programs is Start's business.
func StandAlone() {
	unix.Umask(umask)
	if unix.Geteuid() == 0 && unix.Getegid() != 0 {
		_ = unix.Setresgid(0, 0, 0) // without CAP_SETGID the caller's group stays
	}
	for _, resource := range []int{unix.RLIMIT_FSIZE, unix.RLIMIT_NPROC} {
		var limit unix.Rlimit
		if unix.Prlimit(0, resource, nil, &limit) == nil && limit.Cur != limit.Max {
			limit.Cur = limit.Max
			_ = unix.Prlimit(0, resource, &limit, nil) // needs no privilege
		}
	}
}
