package app

import (
	"strconv"
	"strings"
	"time"

	"laterna.dev/laterna/internal/bounded"
)

// clockTicks is the kernel's USER_HZ, in which /proc gives times; it is 100 on
// every architecture that Go runs on.
const clockTicks = 100

// sinceExec returns the time from the start of this process to now, to 10 ms. Where
// /proc does not tell, it returns 0.
func sinceExec(now time.Time) time.Duration {
	stat, err := bounded.File("/proc/self/stat", bounded.Small)
	if err != nil {
		return 0
	}
	started, ok := startTime(string(stat))
	if !ok {
		return 0
	}
	return now.Sub(bootTime().Add(started))
}

// startTime reads from /proc/PID/stat how long after the machine a process started,
// field 22 of proc_pid_stat(5).
func startTime(stat string) (time.Duration, bool) {
	// The second field, the name, may hold spaces and parentheses.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const field = 22 - 3
	if len(fields) <= field {
		return 0, false
	}
	ticks, err := strconv.ParseInt(fields[field], 10, 64)
	return time.Duration(ticks) * time.Second / clockTicks, err == nil
}

// bootTime is when the machine started, from its time of running.
func bootTime() time.Time {
	raw, err := bounded.File("/proc/uptime", bounded.Small)
	if err != nil {
		return time.Now()
	}
	first, _, _ := strings.Cut(string(raw), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return time.Now()
	}
	return time.Now().Add(-time.Duration(seconds * float64(time.Second)))
}
