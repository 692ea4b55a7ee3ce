// Package netns opens connections inside a network namespace of this machine.
//
// It owns the way into a namespace and out of it. Whose namespace it is, and who may
// connect to what, is the caller's to know.
package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// nsfs is the magic number of the file system that namespaces are files of.
const nsfs = 0x6e736673

// DialLoopback connects to a TCP port on the loopback addresses of the namespace, which
// is a file such as /run/netns/a: 127.0.0.1 first, then ::1. An empty path is the
// namespace of this process. It returns when ctx ends at the latest.
func DialLoopback(ctx context.Context, path string, port uint16) (*net.TCPConn, error) {
	var errs []error
	for _, to := range []unix.Sockaddr{
		&unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}},
		&unix.SockaddrInet6{Port: int(port), Addr: [16]byte{15: 1}},
	} {
		conn, err := dial(ctx, path, to)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", name(to), err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func name(to unix.Sockaddr) string {
	if _, ok := to.(*unix.SockaddrInet4); ok {
		return "127.0.0.1"
	}
	return "::1"
}

// dial makes a socket in the namespace, to which it belongs from then on, and waits for
// its connection in ours.
func dial(ctx context.Context, path string, to unix.Sockaddr) (*net.TCPConn, error) {
	fd, err := begin(path, to)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "tcp")
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("a socket of type %T", conn)
	}
	if err := established(ctx, tcp); err != nil {
		tcp.Close()
		return nil, err
	}
	return tcp, nil
}

// begin returns a socket of the namespace that is being connected.
func begin(path string, to unix.Sockaddr) (int, error) {
	if path == "" {
		return connecting(to)
	}
	ns, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, fmt.Errorf("opening the network namespace: %w", err)
	}
	defer unix.Close(ns)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(ns, &fs); err != nil {
		return -1, fmt.Errorf("opening the network namespace: %w", err)
	}
	if fs.Type != nsfs {
		return -1, errors.New("opening the network namespace: it is none any more")
	}
	type result struct {
		fd  int
		err error
	}
	done := make(chan result)
	go func() {
		// The thread is not given back where it cannot leave: it ends with this goroutine.
		runtime.LockOSThread()
		fd, back, err := inside(ns, to)
		if back {
			runtime.UnlockOSThread()
		}
		done <- result{fd, err}
	}()
	r := <-done
	return r.fd, r.err
}

// inside is begin on a thread of its own. back says whether the thread is where it was.
func inside(ns int, to unix.Sockaddr) (fd int, back bool, err error) {
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, true, fmt.Errorf("opening our own network namespace: %w", err)
	}
	defer unix.Close(home)
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		return -1, true, fmt.Errorf("entering the network namespace: %w", err)
	}
	fd, err = connecting(to)
	return fd, unix.Setns(home, unix.CLONE_NEWNET) == nil, err
}

func connecting(to unix.Sockaddr) (int, error) {
	family := unix.AF_INET
	if _, ok := to.(*unix.SockaddrInet6); ok {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// established waits until the connection stands, or says why it does not.
func established(ctx context.Context, conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			failed = err
			return true
		case code != 0:
			failed = unix.Errno(code)
			return true
		}
		_, err = unix.Getpeername(int(fd))
		return err == nil // else it is still on its way
	})
	switch {
	case failed != nil:
		return failed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}
