package upgrade

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsentMax bounds what the kernel takes of a connection beyond what is on the wire, in
// bytes: what a slow reader has not asked for waits at its source.
const unsentMax = 128 << 10

// raw returns the TCP connection below a connection, nil if there is none.
func raw(c net.Conn) *net.TCPConn {
	for range 8 {
		switch x := c.(type) {
		case *net.TCPConn:
			return x
		case interface{ NetConn() net.Conn }:
			c = x.NetConn()
		default:
			return nil
		}
	}
	return nil
}

// control calls f with the socket below c; false if there is none.
func control(c net.Conn, f func(fd int)) bool {
	tcp := raw(c)
	if tcp == nil {
		return false
	}
	rc, err := tcp.SyscallConn()
	return err == nil && rc.Control(func(fd uintptr) { f(int(fd)) }) == nil
}

// unacknowledged is how many bytes written to c its peer's kernel has not taken yet; ok
// is false where that cannot be told.
func unacknowledged(c net.Conn) (n int, ok bool) {
	var err error
	ok = control(c, func(fd int) { n, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ) })
	return n, ok && err == nil
}

// arrived is how many bytes the kernel holds that were not read of c.
func arrived(c net.Conn) int {
	n := 0
	control(c, func(fd int) {
		if got, err := unix.IoctlGetInt(fd, unix.SIOCINQ); err == nil {
			n = got
		}
	})
	return n
}

// HoldLittle lets writes to a client wait for it rather than fill the kernel's memory:
// what it has not asked for waits at its source, and pongs come soon behind what is on
// the wire.
func HoldLittle(c net.Conn) {
	control(c, func(fd int) {
		_ = syscall.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMax)
	})
}

// closeWrite tells the peer that nothing more comes; c can still be read.
func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
