// Package log sets up the program's logging: log/slog as text on standard error,
// with the messages of the Kubernetes libraries (klog) bridged into it.
//
// It owns the format and the level; what is logged lives with those who log, and how
// secrets are kept out of it in internal/redacted. It is the only package that imports klog.
package log

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"k8s.io/klog/v2"
)

// New returns a logger that writes text lines to w. verbosity is the number given
// with -v: 0 shows warnings and errors of libraries and information of our own, 1
// adds libraries' information, 2 and more debug lines.
func New(w io.Writer, verbosity int) *slog.Logger {
	level := slog.LevelInfo
	if verbosity > 1 {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// BridgeLibraries sends what the Kubernetes libraries log to l. It changes state of
// the whole process and is called once, by main.
func BridgeLibraries(l *slog.Logger, verbosity int) {
	least := slog.LevelWarn
	if verbosity > 0 {
		least = slog.LevelInfo
	}
	if verbosity > 2 {
		least = slog.LevelDebug
	}
	klog.SetSlogLogger(slog.New(libraryHandler{l.Handler(), least}))
}

// bridged is as much the process's as klog itself: replacing klog's logger while somebody
// logs is a race.
var bridged sync.Once

// BridgeLibrariesOnce is BridgeLibraries for a process that may run several systems, of
// which the first sends what the libraries of all log to w: warnings and errors.
func BridgeLibrariesOnce(w io.Writer) {
	bridged.Do(func() { BridgeLibraries(New(w, 0), 0) })
}

// libraryHandler drops what libraries say below a level of its own, and lines that
// are known to be noise.
type libraryHandler struct {
	slog.Handler
	least slog.Level
}

// Enabled implements slog.Handler.
func (h libraryHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.least && h.Handler.Enabled(ctx, level)
}

// noise is what libraries log as errors when nothing is wrong.
var noise = []string{
	// A client has closed its side of a stream.
	"Error on socket receive",
	// The command of an exec has ended while its client still held the stream open.
	"Error proxying data from client to backend",
	"Error proxying data from backend to client",
	// A client has gone before it had its answer; apiserver_request_aborts_total counts
	// them, and requests that took too long, whose clients are told.
	"Timeout or abort while handling",
}

// Handle implements slog.Handler.
func (h libraryHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Message = strings.TrimSpace(r.Message)
	if h.least > slog.LevelDebug && (slices.Contains(noise, r.Message) || slices.Contains(farewells, r.Message) && leaving(r)) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// farewells are what libraries log as errors both when something is wrong and when a
// client went away; gone are the errors of the latter.
var (
	farewells = []string{
		"Failed to encode watch event",
		"Unhandled Error",
		"Post-timeout activity", // of a request whose client, or server, has gone
	}
	gone = []string{
		"client disconnected",
		"http2: stream closed",
		"http: Handler timeout", // also when the client has cancelled
		"write: broken pipe",
		"write: connection reset by peer",
		"post-timeout activity", // unless its handler panicked
	}
)

// leaving tells whether the error of a line is that a client is gone. A line about a
// handler that ended later has its panic, if any, as result or in the error.
func leaving(r slog.Record) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		switch text := a.Value.String(); a.Key {
		case "err", "error":
			found = !strings.Contains(text, "panicked: true") && slices.ContainsFunc(gone, func(s string) bool { return strings.Contains(text, s) })
		case "result":
			found = text == "<nil>"
		}
		return !found
	})
	return found
}

// WithAttrs implements slog.Handler.
func (h libraryHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return libraryHandler{h.Handler.WithAttrs(attrs), h.least}
}

// WithGroup implements slog.Handler.
func (h libraryHandler) WithGroup(name string) slog.Handler {
	return libraryHandler{h.Handler.WithGroup(name), h.least}
}
