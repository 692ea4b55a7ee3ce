package dns

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"time"

	"laterna.dev/laterna/internal/clock"
)

const (
	// longest is how much of a line is told, in bytes.
	longest = 1024
	// perMinute is how many lines are told in a minute: what pods ask is no reason to fill
	// the machine's log.
	perMinute = 60
)

// lines makes records of what a server writes. It may be used concurrently.
type lines struct {
	log   *slog.Logger
	clock clock.Wall

	mu      sync.Mutex
	rest    []byte // of a line that is not whole yet
	cut     bool   // what follows belongs to a line that was too long
	since   time.Time
	told    int
	omitted int
}

func newLines(cfg Config) *lines { return &lines{log: cfg.Log, clock: cfg.Clock} }

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := b; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		rest = after
		if room := longest - len(l.rest); !l.cut {
			l.rest, l.cut = append(l.rest, line[:min(len(line), room)]...), len(line) > room
		}
		if whole {
			l.tell()
		}
	}
	return len(b), nil
}

// flush tells what came last without the end of a line.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.tell()
	}
}

// tell makes a record of the line. What CoreDNS informs of is of interest to who looks for
// a fault.
func (l *lines) tell() {
	level, text := levelOf(string(l.rest))
	l.rest, l.cut = l.rest[:0], false
	switch {
	case text == "":
	case level < slog.LevelWarn:
		l.log.Debug(says, "text", text)
	case !l.may():
	case level < slog.LevelError:
		l.log.Warn(says, "text", text)
	default:
		l.log.Error(says, "text", text)
	}
}

const says = "cluster DNS says"

// may tells whether one more line is told this minute.
func (l *lines) may() bool {
	if now := l.clock.Now(); now.Sub(l.since) > time.Minute {
		if l.omitted > 0 {
			l.log.Warn("cluster DNS said more than is told", "lines", l.omitted)
		}
		l.since, l.told, l.omitted = now, 0, 0
	}
	l.told++
	if l.told > perMinute {
		l.omitted++
	}
	return l.told <= perMinute
}

// levelOf takes the level from the beginning of a line, in CoreDNS's words. A line without
// one is not CoreDNS's.
func levelOf(line string) (slog.Level, string) {
	for prefix, level := range map[string]slog.Level{
		"[DEBUG] ": slog.LevelDebug, "[INFO] ": slog.LevelDebug, "[WARNING] ": slog.LevelWarn, "[ERROR] ": slog.LevelWarn, "[FATAL] ": slog.LevelError,
	} {
		if text, ok := strings.CutPrefix(line, prefix); ok {
			return level, strings.TrimSpace(text)
		}
	}
	return slog.LevelWarn, strings.TrimSpace(line)
}
