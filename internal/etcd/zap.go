package etcd

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newZap returns a logger for etcd's libraries that passes errors on to l and, for
// debugging, warnings. What etcd calls information is dropped before it is built. Where
// the library ends the process, f may take the fault instead; nil is nobody.
func newZap(l *slog.Logger, f faulter) *zap.Logger {
	if f == nil {
		return zap.New(slogCore{log: l})
	}
	return zap.New(slogCore{log: l, faulter: f},
		zap.WithFatalHook(giveUp{f, zapcore.WriteThenFatal}), zap.WithPanicHook(giveUp{f, zapcore.WriteThenPanic}))
}

// faulter takes the fault that the library gives up for.
type faulter interface {
	// opening tells whether it would take one now.
	opening() bool
	// fault takes one, and reports whether it did.
	fault(error) bool
}

// giveUp is what happens after a fatal entry is written: the goroutine ends when somebody
// takes the fault, else the process does.
type giveUp struct {
	faulter
	otherwise zapcore.CheckWriteAction
}

// OnWrite implements zapcore.CheckWriteHook.
func (g giveUp) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	if g.fault(entryError(e.Message, fields)) {
		runtime.Goexit()
	}
	g.otherwise.OnWrite(e, fields)
}

// entryError makes an error of a log entry and the error in its fields.
func entryError(message string, fields []zapcore.Field) error {
	message = strings.TrimPrefix(message, "failed to ")
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			return fmt.Errorf("%s: %w", message, err)
		}
	}
	return errors.New(message)
}

// slogCore is a zapcore.Core that writes to slog.
type slogCore struct {
	log *slog.Logger
	faulter
}

// Enabled implements zapcore.Core. etcd's warnings are remarks on speed and on
// events that it handles itself; they are shown for debugging only.
func (c slogCore) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }

// With implements zapcore.Core.
func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	return slogCore{c.log.With(args(fields)...), c.faulter}
}

// isNoise names errors that the server mends by itself: a member that has just
// become leader cannot record the storage version before its first commit.
func isNoise(message string) bool { return message == "failed to update storage version" }

// Check implements zapcore.Core.
func (c slogCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && !isNoise(e.Message) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	keys := append(args(fields), "message", e.Message)
	switch {
	case c.faulter != nil && c.opening(): // the error that the caller gets says it
		c.log.Debug("store reports", keys...)
	case e.Level >= zapcore.PanicLevel: // the library ends the process when this returns
		c.log.Error("the store cannot go on and ends the program; start it again when the cause is removed: nothing is lost that was acknowledged", keys...)
	case e.Level >= zapcore.ErrorLevel:
		c.log.Error("store reports", keys...)
	default:
		c.log.Debug("store reports", keys...)
	}
	return nil
}

// Sync implements zapcore.Core.
func (slogCore) Sync() error { return nil }

func args(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	out := make([]any, 0, 2*len(enc.Fields))
	for k, v := range enc.Fields {
		out = append(out, k, v)
	}
	return out
}
