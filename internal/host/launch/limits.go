package launch

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

// Resources of getrlimit(2) that package unix does not name.
const (
	rlimitSigpending = 11
	rlimitMsgqueue   = 12
	rlimitNice       = 13
	rlimitRtprio     = 14
	rlimitRttime     = 15
)

// limit is the soft and the hard limit of a resource.
type limit struct {
	name       string
	resource   int
	soft, hard uint64
}

// serviceLimits are what systemd gives a service with the settings of containerd's own
// unit: LimitCORE and LimitNPROC=infinity, LimitNOFILE=1048576.
func serviceLimits() []limit {
	const infinity, files, locked = unix.RLIM_INFINITY, 1 << 20, 8 << 20
	limits := []limit{
		{"CPU", unix.RLIMIT_CPU, infinity, infinity},
		{"FSIZE", unix.RLIMIT_FSIZE, infinity, infinity},
		{"DATA", unix.RLIMIT_DATA, infinity, infinity},
		{"STACK", unix.RLIMIT_STACK, 8 << 20, infinity},
		{"CORE", unix.RLIMIT_CORE, infinity, infinity},
		{"RSS", unix.RLIMIT_RSS, infinity, infinity},
		{"NPROC", unix.RLIMIT_NPROC, infinity, infinity},
		{"NOFILE", unix.RLIMIT_NOFILE, files, files},
		{"MEMLOCK", unix.RLIMIT_MEMLOCK, locked, locked},
		{"AS", unix.RLIMIT_AS, infinity, infinity},
		{"LOCKS", unix.RLIMIT_LOCKS, infinity, infinity},
		{"MSGQUEUE", rlimitMsgqueue, 819200, 819200},
		{"NICE", rlimitNice, 0, 0},
		{"RTPRIO", rlimitRtprio, 0, 0},
		{"RTTIME", rlimitRttime, infinity, infinity},
	}
	// The kernel's own value for its first process: half of the threads that fit.
	if raw, err := bounded.File("/proc/sys/kernel/threads-max", bounded.Small); err == nil {
		if threads, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64); err == nil {
			limits = append(limits, limit{"SIGPENDING", rlimitSigpending, threads / 2, threads / 2})
		}
	}
	return limits
}

// setLimits sets limits as far as this process may. former are the values before, kept
// names those whose hard limit stays too low.
func setLimits(limits []limit) (former []limit, kept []string) {
	for _, l := range limits {
		var now unix.Rlimit
		if err := unix.Prlimit(0, l.resource, nil, &now); err != nil {
			continue // a kernel without the resource
		}
		want := unix.Rlimit{Cur: l.soft, Max: l.hard}
		if now == want {
			continue
		}
		former = append(former, limit{l.name, l.resource, now.Cur, now.Max})
		if unix.Prlimit(0, l.resource, &want, nil) == nil {
			continue
		}
		// Raising the hard limit needs CAP_SYS_RESOURCE; lowering it does not.
		want.Max = min(l.hard, now.Max)
		want.Cur = min(l.soft, want.Max)
		if err := unix.Prlimit(0, l.resource, &want, nil); err != nil || want.Cur < l.soft {
			kept = append(kept, fmt.Sprintf("limit %s is %d", l.name, want.Cur))
		}
	}
	return former, kept
}
