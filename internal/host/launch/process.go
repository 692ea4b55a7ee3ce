package launch

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

// lastSignal is the highest number of a signal.
const lastSignal = 64

// asService gives the process a service's values of what all its threads share. restore
// gives it its own back, as far as it may.
func asService() (kept []string, restore func()) {
	limits, kept := setLimits(serviceLimits())
	heard := hearIgnored()
	score, err := lowerOOMScore()
	if err != nil {
		kept = append(kept, "oom_score_adj is "+score)
	}
	// This one belongs to the memory of the process.
	small, err := unix.PrctlRetInt(unix.PR_GET_THP_DISABLE, 0, 0, 0, 0)
	if err == nil && small != 0 {
		_ = unix.Prctl(unix.PR_SET_THP_DISABLE, 0, 0, 0, 0)
	}
	if confined, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && confined != 0 {
		kept = append(kept, "no_new_privs is set")
	}
	return kept, func() {
		setLimits(limits)
		heard()
		if score != "0" && score != "" {
			_ = os.WriteFile(oomScore, []byte(score), 0)
		}
		if small > 0 {
			_ = unix.Prctl(unix.PR_SET_THP_DISABLE, uintptr(small), 0, 0, 0)
		}
	}
}

const oomScore = "/proc/self/oom_score_adj"

// lowerOOMScore sets the process's score to 0 and returns what it was.
func lowerOOMScore() (former string, err error) {
	raw, err := bounded.File(oomScore, bounded.Small)
	former = strings.TrimSpace(string(raw))
	if err != nil || former == "0" {
		return former, nil
	}
	return former, os.WriteFile(oomScore, []byte("0"), 0)
}

// hearIgnored lets the process handle the signals that it ignores, since the kernel keeps
// an ignored signal ignored over execve(2) and resets a handled one. undo ignores them
// again.
func hearIgnored() (undo func()) {
	var mask uint64
	if raw, err := bounded.File("/proc/self/status", bounded.Small); err == nil {
		_, after, _ := strings.Cut(string(raw), "\nSigIgn:")
		line, _, _ := strings.Cut(after, "\n")
		mask, _ = strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	}
	var known []os.Signal
	var raw []int
	for n := 1; n <= lastSignal; n++ {
		switch ignored := mask&(1<<(n-1)) != 0; {
		case ignored && n >= 32 && n <= 34:
			raw = append(raw, n) // Go leaves them to C's libraries and delivers none
			setAction(n, sigDefault)
		case ignored:
			known = append(known, syscall.Signal(n))
		}
	}
	// What arrives in this moment is dropped, as it was before.
	dropped := make(chan os.Signal, 1)
	if len(known) > 0 { // no signal means all
		signal.Notify(dropped, known...)
	}
	return func() {
		signal.Stop(dropped)
		for _, n := range raw {
			setAction(n, sigIgnore)
		}
	}
}
