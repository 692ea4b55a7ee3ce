package browser

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// apart is a network namespace with a loopback device and nothing else, for a browser. It
// holds what pages ask to this machine's own servers, and network devices that other tests
// make do not break off what the browser is loading.
type apart struct {
	// namespace is the namespace's file.
	namespace string
	// listen listens at an address of the namespace.
	listen func(address string) (net.Listener, error)
	served map[string]bool
}

// newApart makes a namespace that lasts until the end of the test.
func newApart(t testing.TB) *apart {
	t.Helper()
	calls := make(chan func())
	t.Cleanup(func() { close(calls) })
	entered := make(chan error)
	go func() {
		// The thread is not unlocked: it ends with this, and nobody else meets its namespace.
		runtime.LockOSThread()
		entered <- syscall.Unshare(syscall.CLONE_NEWNET)
		for call := range calls {
			call()
		}
	}()
	if err := <-entered; err != nil {
		t.Fatalf("making a network for the browser: %v", err)
	}
	in := func(f func()) {
		done := make(chan struct{})
		calls <- func() { defer close(done); f() }
		<-done
	}
	a := &apart{served: map[string]bool{}}
	a.listen = func(address string) (l net.Listener, err error) {
		in(func() { l, err = net.Listen("tcp", address) })
		return l, err
	}
	in(func() { a.namespace = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), syscall.Gettid()) })
	if out, err := exec.Command("nsenter", "--net="+a.namespace, "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("setting the browser's loopback device up: %v: %s", err, out)
	}
	return a
}

// program writes a program that runs another in the namespace.
func (a *apart) program(t testing.TB, path string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "apart")
	script := fmt.Sprintf("#!/bin/sh\nexec nsenter --net=%s %s \"$@\"\n", a.namespace, path)
	if err := os.WriteFile(name, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

// reach lets the browser reach an address of this machine at the same address of its own.
func (a *apart) reach(t testing.TB, address string) {
	t.Helper()
	if a.served[address] {
		return
	}
	l, err := a.listen(address)
	if err != nil {
		t.Fatalf("letting the browser reach %s: %v", address, err)
	}
	a.served[address] = true
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go join(near, address)
		}
	}()
}

// join connects a connection of the browser with a server.
func join(near net.Conn, address string) {
	defer near.Close()
	far, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer far.Close()
	go func() {
		io.Copy(far, near)
		far.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(near, far)
}
