package compat

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal with a reader that collects what is printed.
type terminal struct {
	master, slave *os.File

	mu   sync.Mutex
	text string
	seen int
}

func openTerminal(t testing.TB, rows, columns uint16) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{master: master, slave: slave}
	term.size(t, rows, columns)
	return term
}

func (x *terminal) size(t testing.TB, rows, columns uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(x.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
}

// start runs cmd with the terminal as its controlling one.
func (x *terminal) start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = x.slave, x.slave, x.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x.slave.Close()
	go x.collect()
}

func (x *terminal) collect() {
	buf := make([]byte, 4096)
	for {
		n, err := x.master.Read(buf)
		x.mu.Lock()
		x.text += string(buf[:n])
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (x *terminal) send(t testing.TB, s string) {
	t.Helper()
	if _, err := x.master.WriteString(s); err != nil {
		t.Fatal(err)
	}
}

// resize changes the size and tells the process, as the kernel would.
func (x *terminal) resize(t testing.TB, cmd *exec.Cmd, rows, columns uint16) {
	t.Helper()
	x.size(t, rows, columns)
	if err := cmd.Process.Signal(syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
}

// expect waits until part is printed behind what was expected before.
func (x *terminal) expect(t testing.TB, part string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		x.mu.Lock()
		defer x.mu.Unlock()
		i := strings.Index(x.text[x.seen:], part)
		if i < 0 {
			return fmt.Errorf("the terminal shows no %q behind %q", part, x.text[x.seen:])
		}
		x.seen += i + len(part)
		return nil
	})
}
