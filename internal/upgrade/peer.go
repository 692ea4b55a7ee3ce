package upgrade

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Closed says whether the program at the other end of a TCP connection within this
// machine has closed it, although what it wrote before is not all read here: TCP itself
// tells a reader only behind the last byte. It is false where that cannot be known: with
// a peer elsewhere, in another network namespace, or on a socket that is not TCP.
func Closed(c net.Conn) bool {
	tcp := raw(c)
	if tcp == nil {
		return false
	}
	here, ok := address(tcp.LocalAddr())
	there, ok2 := address(tcp.RemoteAddr())
	if !ok || !ok2 || here.Addr().Is4() != there.Addr().Is4() {
		return false
	}
	state, err := socketState(there, here)
	return err == nil && state != tcpEstablished && state != tcpCloseWait
}

func address(a net.Addr) (netip.AddrPort, bool) {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port()), p.IsValid()
}

// Of linux/inet_diag.h, sock_diag.h and net/tcp_states.h.
const (
	sockDiagByFamily = 20
	requestSize      = 56 // struct inet_diag_req_v2
	tcpEstablished   = 1
	tcpCloseWait     = 8
	noCookie         = 0xFFFFFFFF
)

// socketState asks the kernel for the state of the socket between two addresses of this
// machine. A socket that is not there is an error.
func socketState(local, remote netip.AddrPort) (byte, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, question(local, remote), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return 0, err
	}
	// The answer is struct inet_diag_msg: family, state, …; else an error's number.
	if n < unix.SizeofNlMsghdr+2 || binary.NativeEndian.Uint16(answer[4:]) != sockDiagByFamily {
		return 0, unix.ENOENT
	}
	return answer[unix.SizeofNlMsghdr+1], nil
}

func question(local, remote netip.AddrPort) []byte {
	q := make([]byte, unix.SizeofNlMsghdr+requestSize)
	binary.NativeEndian.PutUint32(q, uint32(len(q)))
	binary.NativeEndian.PutUint16(q[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(q[6:], unix.NLM_F_REQUEST)
	r := q[unix.SizeofNlMsghdr:]
	r[0], r[1] = unix.AF_INET, unix.IPPROTO_TCP
	if local.Addr().Is6() {
		r[0] = unix.AF_INET6
	}
	binary.NativeEndian.PutUint32(r[4:], 0xFFFFFFFF) // any state
	id := r[8:]
	binary.BigEndian.PutUint16(id, local.Port())
	binary.BigEndian.PutUint16(id[2:], remote.Port())
	copy(id[4:20], local.Addr().AsSlice())
	copy(id[20:36], remote.Addr().AsSlice())
	binary.NativeEndian.PutUint32(id[40:], noCookie)
	binary.NativeEndian.PutUint32(id[44:], noCookie)
	return q
}
