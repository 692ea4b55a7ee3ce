package procfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func start(t *testing.T, args ...string) Process {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
	})
	// The kernel sets a program's arguments only after Start has seen it executed.
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		p, err := Get(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Args) > 0 || time.Now().After(end) {
			return p
		}
	}
}

func TestGet(t *testing.T) {
	p := start(t, "sleep", "1000", "1001")
	if p.Parent != os.Getpid() || p.Program() != "sleep" || !slices.Equal(p.Args, []string{"sleep", "1000", "1001"}) {
		t.Errorf("got %+v", p)
	}
	if p.Arg("sleep") != "1000" || p.Arg("1001") != "" || p.Arg("none") != "" {
		t.Errorf("arguments %q, %q, %q", p.Arg("sleep"), p.Arg("1001"), p.Arg("none"))
	}
	started, err := p.Started(time.Now())
	if err != nil || time.Since(started) < -100*time.Millisecond || time.Since(started) > 10*time.Second {
		t.Errorf("started %v ago, %v", time.Since(started), err)
	}
	if _, err := Get(1 << 22); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no process: %v, want ErrNotExist", err)
	}
}

func TestParseStat(t *testing.T) {
	const rest = " S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1 2 3"
	for raw, want := range map[string]Process{
		"12 (sh)" + rest:             {PID: 12, Parent: 7, Start: 4242},
		"12 (a) S 1 ) (b) c)" + rest: {PID: 12, Parent: 7, Start: 4242},
		"12 (a b)" + rest:            {PID: 12, Parent: 7, Start: 4242},
		"12 (a) S (b)" + rest:        {PID: 12, Parent: 7, Start: 4242},
		"12 ())) ((()" + rest:        {PID: 12, Parent: 7, Start: 4242},
		"12 (z) Z" + rest[2:]:        {PID: 12, Parent: 7, Start: 4242, Zombie: true},
	} {
		got, err := parseStat([]byte(raw))
		if err != nil || got.PID != want.PID || got.Parent != want.Parent || got.Start != want.Start || got.Zombie != want.Zombie {
			t.Errorf("%q: got %+v, %v; want %+v", raw, got, err, want)
		}
	}
	for _, raw := range []string{"", "12", "x (sh)" + rest, "12 (sh) S 7", ") 12 (", "12 (sh) S 7 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 soon", "12 (sh) S x" + rest[4:]} {
		if got, err := parseStat([]byte(raw)); err == nil {
			t.Errorf("%q: got %+v, want an error", raw, got)
		}
	}
}

func TestWaitEndsWithTheProcessOrTheContext(t *testing.T) {
	p := start(t, "sleep", "1000")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while it lives: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Wait(t.Context()) }()
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("after its end: %v", err)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Errorf("long after its end: %v", err)
	}
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Errorf("signal to one that has ended: %v", err)
	}
}

func TestSignalSparesWhoTookTheNumber(t *testing.T) {
	p := start(t, "sleep", "1000")
	former := p
	former.Start-- // another process had this number before
	if err := former.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := former.Wait(t.Context()); err != nil {
		t.Errorf("waiting for one that has ended: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Wait(ctx); err == nil {
		t.Error("the wrong process was killed")
	}
}

func TestEndKillsWhoIgnoresTerm(t *testing.T) {
	polite := start(t, "sleep", "1000")
	stubborn := start(t, "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
	time.Sleep(100 * time.Millisecond) // until the trap is set
	began := time.Now()
	if err := End(t.Context(), []Process{polite, stubborn}, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("took %v: the grace was not given", took)
	}
	for _, p := range []Process{polite, stubborn} {
		if now, err := Get(p.PID); err == nil && !now.Zombie && now.Start == p.Start {
			t.Errorf("%v lives", p.Args)
		}
	}
	if err := End(t.Context(), nil, time.Hour); err != nil {
		t.Errorf("nobody to end: %v", err)
	}
}

func TestDescendants(t *testing.T) {
	all := []Process{{PID: 5, Parent: 4}, {PID: 4, Parent: 3}, {PID: 3, Parent: 2}, {PID: 2, Parent: 1}, {PID: 9, Parent: 2}, {PID: 1}}
	var got []int
	for _, p := range Descendants(all, []Process{{PID: 3}}) {
		got = append(got, p.PID)
	}
	slices.Sort(got)
	if !slices.Equal(got, []int{4, 5}) {
		t.Errorf("got %v, want [4 5]", got)
	}
}

func TestFindSeesThisProcess(t *testing.T) {
	found, err := Find(func(p Process) bool { return p.PID == os.Getpid() })
	if err != nil || len(found) != 1 || found[0].Parent != os.Getppid() {
		t.Errorf("got %+v, %v", found, err)
	}
	if id, err := BootID(); err != nil || len(id) != 36 {
		t.Errorf("boot id %q, %v", id, err)
	}
}
