package netns

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listen answers on a loopback address of this process's namespace.
func listen(t *testing.T, address string) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func TestConnectionEchoesOnBothLoopbackAddresses(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		conn, err := DialLoopback(t.Context(), "", listen(t, address))
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		if _, err := conn.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil || string(got) != "hello" {
			t.Errorf("%s: got %q, %v", address, got, err)
		}
		conn.Close()
	}
}

func TestRefusalIsTold(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	if _, err := DialLoopback(t.Context(), "", port); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}

// TestNamespaceIsEnteredAndLeft asks for a port that only we listen on.
func TestNamespaceIsEnteredAndLeft(t *testing.T) {
	if unix.Geteuid() != 0 {
		t.Fatal("making a network namespace takes root")
	}
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	path := filepath.Join(t.TempDir(), "ns")
	proc := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "ns/net")
	if err := exec.Command("touch", path).Run(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(proc, path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	port := listen(t, "127.0.0.1:0")
	for range 50 {
		// The loopback device of a new namespace is down.
		if conn, err := DialLoopback(t.Context(), path, port); err == nil {
			conn.Close()
			t.Fatal("connected to our own namespace")
		}
		conn, err := DialLoopback(t.Context(), "", port)
		if err != nil {
			t.Fatalf("after the namespace: %v", err)
		}
		conn.Close()
	}
}

func TestOtherFilesAreNoNamespaces(t *testing.T) {
	for _, path := range []string{"/proc/self/status", "/proc/self/ns/net", "/no/such/file"} {
		if _, err := DialLoopback(t.Context(), path, 1); err == nil || errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestDialEndsWithItsContext dials a port whose queue is full, as nobody accepts there.
func TestDialEndsWithItsContext(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(name.(*unix.SockaddrInet4).Port)
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		conn, err := DialLoopback(ctx, "", port)
		cancel()
		if err == nil {
			defer conn.Close()
			continue
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		return
	}
	t.Fatal("the queue is never full")
}
