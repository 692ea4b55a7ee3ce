package dns

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
)

func newRecords() (*lines, *bytes.Buffer, *clocktesting.FakeClock) {
	var log bytes.Buffer
	fake := clocktesting.NewFakeClock(time.Now())
	return newLines(Config{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Clock: clock.WallOf(fake)}), &log, fake
}

func TestLinesBecomeRecords(t *testing.T) {
	l, log, _ := newRecords()
	for _, part := range []string{"[INFO] plug", "in/kubernetes: waiting\n[ERROR] plugin/errors: 2 a\x1b[2J. A: timeout\n\n[FATAL] x\nfatal error: ", strings.Repeat("y", 2*longest), "\nnext\nrest"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	l.flush()
	for i, want := range []string{
		`level=DEBUG msg="cluster DNS says" text="plugin/kubernetes: waiting"`,
		`level=WARN msg="cluster DNS says" text="plugin/errors: 2 a\x1b[2J. A: timeout"`,
		`level=ERROR msg="cluster DNS says" text=x`,
		`level=WARN msg="cluster DNS says" text="fatal error: ` + strings.Repeat("y", longest-len("fatal error: ")) + `"`,
		`level=WARN msg="cluster DNS says" text=next`,
		`level=WARN msg="cluster DNS says" text=rest`,
		"",
	} {
		got := strings.Split(log.String(), "\n")
		if i >= len(got) || !strings.HasSuffix(got[i], want) {
			t.Fatalf("line %d of %q, want %q", i, got, want)
		}
	}
}

func TestLogIsNotFilled(t *testing.T) {
	l, log, fake := newRecords()
	say := func(n int) {
		for i := range n {
			fmt.Fprintf(l, "[ERROR] %d\n", i)
		}
	}
	say(1000)
	if got := strings.Count(log.String(), "\n"); got != perMinute {
		t.Errorf("%d lines of 1000 in a minute", got)
	}
	fake.Step(61 * time.Second)
	say(1)
	if got := log.String(); !strings.Contains(got, "lines=940") || strings.Count(got, "\n") != perMinute+2 {
		t.Errorf("after a minute %s", got[max(0, len(got)-300):])
	}
}
