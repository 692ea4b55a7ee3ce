package down

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
)

// holdEnv makes this test program a process that holds the lock of a directory
// until SIGTERM, or, with the stubborn variant, until SIGKILL.
const holdEnv, stubbornEnv = "LATERNA_TEST_HOLD", "LATERNA_TEST_STUBBORN"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdEnv); path != "" {
		os.Exit(hold(path))
	}
	os.Exit(m.Run())
}

func hold(path string) int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	dir, err := datadir.Locate(path)
	if err == nil {
		_, err = dir.Lock()
	}
	fmt.Println("locked", err)
	if os.Getenv(stubbornEnv) != "" {
		select {}
	}
	<-terminated
	return 0
}

// holder starts a process that runs on dir.
func holder(t *testing.T, dir datadir.Dir, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), holdEnv+"="+dir.Path), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked <nil>\n" {
		t.Fatalf("the holder said %q, %v", line, err)
	}
	return cmd
}

func open(t *testing.T) datadir.Dir {
	t.Helper()
	dir, err := datadir.Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir.RunDir) })
	return dir
}

func TestStopOwnerEndsTheProcessAndTakesTheLock(t *testing.T) {
	dir := open(t)
	cmd := holder(t, dir)
	if dir.Owner() != cmd.Process.Pid {
		t.Errorf("owner %d, want %d", dir.Owner(), cmd.Process.Pid)
	}
	ran, release, err := stopOwner(t.Context(), dir, clock.Real())
	if err != nil || !ran {
		t.Fatal(ran, err)
	}
	defer release()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v, want an orderly end", err)
	}
	if dir.Owner() != os.Getpid() {
		t.Errorf("owner %d, want this process", dir.Owner())
	}
}

func TestStopOwnerTellsWhoDoesNotEnd(t *testing.T) {
	dir := open(t)
	cmd := holder(t, dir, stubbornEnv+"=1")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _, err := stopOwner(ctx, dir, clock.Real())
	if !errors.Is(err, datadir.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("waiting for process %d to end", cmd.Process.Pid)) {
		t.Errorf("got %v", err)
	}
}

// A number that a process of long ago has left must not end a stranger.
func TestStopOwnerLeavesStrangersAlone(t *testing.T) {
	dir := open(t)
	if err := os.WriteFile(filepath.Join(dir.Path, "lock"), fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	defer signal.Stop(signals)
	ran, release, err := stopOwner(t.Context(), dir, clock.Real())
	if err != nil || ran {
		t.Fatal(ran, err)
	}
	release()
	select {
	case <-signals:
		t.Error("the number in a lock that nobody holds was taken for that of its owner")
	case <-time.After(50 * time.Millisecond):
	}
}

func TestDownMayBeCalledAgain(t *testing.T) {
	dir := open(t)
	for _, test := range []struct {
		purge bool
		want  string
	}{{false, "nothing was running; the data stays in"}, {false, "nothing was running; the data stays in"}, {true, "nothing was running; removed "}, {true, "nothing to stop"}} {
		var out, log bytes.Buffer
		if err := Run(t.Context(), Options{DataDir: dir.Path, Purge: test.purge}, &out, &log); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), test.want) || log.Len() > 0 {
			t.Errorf("said %q, logged %q; want %q", out.String(), log.String(), test.want)
		}
	}
}

func TestDownLeavesForeignDirectoriesAlone(t *testing.T) {
	dir := t.TempDir()
	letter := filepath.Join(dir, "letter.txt")
	if err := os.WriteFile(letter, []byte("Dear reader"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Run(t.Context(), Options{DataDir: dir, Purge: true}, new(bytes.Buffer), new(bytes.Buffer))
	if err == nil || !strings.Contains(err.Error(), "is not a data directory of laterna") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(letter); err != nil {
		t.Error(err)
	}
}

// TestDownLeavesAnUnusedDirectoryUsable had down leave a lock in it, after which neither up
// nor down took the directory.
func TestDownLeavesAnUnusedDirectoryUsable(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		var out bytes.Buffer
		if err := Run(t.Context(), Options{DataDir: dir}, &out, new(bytes.Buffer)); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), "nothing to stop: no system was started on ") {
			t.Errorf("said %q", out.String())
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	// What earlier versions have left is no obstacle.
	if err := os.WriteFile(filepath.Join(dir, "lock"), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := datadir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(d.RunDir); err != nil {
		t.Error(err)
	}
}
