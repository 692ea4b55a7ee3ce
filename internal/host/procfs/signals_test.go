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

func TestHandling(t *testing.T) {
	const masks = "SigQ:\t0/1\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000000004\nSigCgt:\t0000000180014003\n"
	for sig, want := range map[unix.Signal]Handling{
		unix.SIGHUP: Caught, unix.SIGINT: Caught, unix.SIGQUIT: Unhandled, unix.SIGUSR1: Unhandled, unix.SIGTERM: Caught, unix.Signal(33): Caught,
	} {
		if got, err := handling([]byte("Name:\tx\n"+masks), sig); err != nil || got != want {
			t.Errorf("%v: %v, %v", sig, got, err)
		}
	}
	for name, tt := range map[string]struct {
		status string
		want   Handling
	}{
		"waits for the signal":              {"Name:\tx\nSigBlk:\t0000000000000001\nSigCgt:\t0000000000000000\n", Blocked},
		"blocks all that a program can":     {"Name:\tx\nSigBlk:\tfffffffe7ffbfeff\nSigCgt:\t0000000000000000\n", Blocked},
		"forks":                             {"Name:\tsh\nSigBlk:\tfffffffffffbfeff\nSigCgt:\t0000000000000000\n", Unhandled},
		"forks and has a handler":           {"Name:\tsh\nSigBlk:\tfffffffffffbfeff\nSigCgt:\t0000000000000001\n", Caught},
		"is not yet the container's":        {"Name:\trunc:[2:INIT]\nSigBlk:\t0000000000000000\nSigCgt:\tfffffffe7ffbfeff\n", Unhandled},
		"named as part of the runtime's is": {"Name:\trunc\nSigBlk:\t0000000000000000\nSigCgt:\tfffffffe7ffbfeff\n", Caught},
	} {
		if got, err := handling([]byte(tt.status), unix.SIGHUP); err != nil || got != tt.want {
			t.Errorf("a process that %s: %v, %v", name, got, err)
		}
	}
	for _, bad := range []string{"", "Name: x", "SigCgt:\tx", "SigCgt:\t0000000000000001\n"} {
		if _, err := handling([]byte(bad), unix.SIGHUP); err == nil {
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
	if got, err := self.Handling(unix.SIGUSR1); err != nil || got != Caught {
		t.Errorf("this process: %v, %v", got, err)
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
	got := Caught
	for end := time.Now().Add(5 * time.Second); got != Unhandled && time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got, err = other.Handling(unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
	}
	if got != Unhandled {
		t.Errorf("sleep handles SIGUSR1: %v", got)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if _, err := other.Handling(unix.SIGUSR1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a process that has ended: %v", err)
	}
}
