package etcd

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// TestWhatTheStoreSays writes entries to the core, as a logger that ended the
// process would.
func TestWhatTheStoreSays(t *testing.T) {
	for _, tc := range []struct {
		level   zapcore.Level
		message string
		want    []string // parts of the line, none for silence
	}{
		{zapcore.InfoLevel, "chatter", nil},
		{zapcore.WarnLevel, "apply request took too long", []string{"level=DEBUG"}},
		{zapcore.ErrorLevel, "failed to update storage version", nil},
		{zapcore.ErrorLevel, "trouble", []string{"level=ERROR", "store reports", "message=trouble", "no space"}},
		{zapcore.FatalLevel, "failed to commit tx", []string{"level=ERROR", "cannot go on", "failed to commit tx", "no space"}},
		{zapcore.PanicLevel, "trouble", []string{"level=ERROR", "cannot go on"}},
	} {
		var buf bytes.Buffer
		core := slogCore{log: slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		e := zapcore.Entry{Level: tc.level, Message: tc.message}
		if core.Check(e, nil) != nil {
			if err := core.Write(e, []zapcore.Field{zap.Error(errors.New("no space left on device"))}); err != nil {
				t.Fatal(err)
			}
		}
		if len(tc.want) == 0 && buf.Len() > 0 {
			t.Errorf("%s %q: %s", tc.level, tc.message, buf.String())
		}
		for _, part := range tc.want {
			if !strings.Contains(buf.String(), part) {
				t.Errorf("%s %q lacks %q: %s", tc.level, tc.message, part, buf.String())
			}
		}
	}
}
