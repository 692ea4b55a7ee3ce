package procfs

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestHandles(t *testing.T) {
	const status = "Name:\tx\nSigQ:\t0/1\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000000004\nSigCgt:\t0000000180014003\n"
	for sig, want := range map[unix.Signal]bool{unix.SIGHUP: true, unix.SIGINT: true, unix.SIGQUIT: false, unix.SIGUSR1: false, unix.SIGTERM: true, unix.Signal(33): true} {
		if got, err := handles([]byte(status), sig); err != nil || got != want {
			t.Errorf("%v: %v, %v", sig, got, err)
		}
	}
	for _, bad := range []string{"", "Name: x", "SigCgt:\tx"} {
		if _, err := handles([]byte(bad), unix.SIGHUP); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestProcessesTellWhatTheyHandle(t *testing.T) {
	taken := make(chan os.Signal, 1)
	signal.Notify(taken, unix.SIGUSR1)
	defer signal.Stop(taken)
	self, err := Hold(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	if ok, err := self.Handles(unix.SIGUSR1); err != nil || !ok {
		t.Errorf("this process: %v, %v", ok, err)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	other, err := Hold(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	// Until it has become sleep it is a copy of this process.
	handled := true
	for end := time.Now().Add(5 * time.Second); handled && time.Now().Before(end); time.Sleep(time.Millisecond) {
		if handled, err = other.Handles(unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
	}
	if handled {
		t.Error("sleep handles SIGUSR1")
	}
	cmd.Process.Kill()
	cmd.Wait()
	if _, err := other.Handles(unix.SIGUSR1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a process that has ended: %v", err)
	}
}
