// Package conntrack has the kernel forget connections that it follows.
//
// It owns the messages to the kernel (ctnetlink of linux/netfilter/nfnetlink_conntrack.h);
// which connections are stale is for the callers to say.
package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	subsystem = 1 // NFNL_SUBSYS_CTNETLINK
	kindGet   = subsystem<<8 | 1
	kindDel   = subsystem<<8 | 2

	attrOriginal = 1  // CTA_TUPLE_ORIG
	attrID       = 12 // CTA_ID
	attrZone     = 18 // CTA_ZONE
	tupleIP      = 1  // CTA_TUPLE_IP
	tupleProto   = 2  // CTA_TUPLE_PROTO
	ipv4To       = 2  // CTA_IP_V4_DST
	protoNumber  = 1  // CTA_PROTO_NUM
	protoTo      = 3  // CTA_PROTO_DST_PORT

	// nested is a bit of an attribute's kind (NLA_F_NESTED), order another.
	kindBits  = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
	headerLen = 4 // of struct nfgenmsg, and of an attribute
)

// ForgetUDP has the kernel forget the UDP "connections" whose first packet went where stale
// says, and tells how many there were: while packets come, one of an address that nobody
// has any more would live for ever.
func ForgetUDP(stale func(to netip.AddrPort) bool) (forgotten int, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return 0, fmt.Errorf("listing connections of the kernel: %w", err)
	}
	defer unix.Close(fd)
	var found [][]byte
	err = dump(fd, func(entry []byte) {
		if e, ok := parse(entry); ok && e.proto == unix.IPPROTO_UDP && stale(e.to) {
			found = append(found, e.name)
		}
	})
	if err != nil {
		return 0, fmt.Errorf("listing connections of the kernel: %w", err)
	}
	for _, name := range found {
		err := request(fd, kindDel, unix.NLM_F_ACK, name)
		if err == nil {
			err = dumpEnd(fd)
		}
		// It may have gone by itself.
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return forgotten, fmt.Errorf("having the kernel forget a connection: %w", err)
		}
		forgotten++
	}
	return forgotten, nil
}

// request sends a message about connections of IPv4.
func request(fd int, kind, flags uint16, attributes []byte) error {
	m := make([]byte, unix.NLMSG_HDRLEN+headerLen, unix.NLMSG_HDRLEN+headerLen+len(attributes))
	binary.NativeEndian.PutUint32(m, uint32(cap(m)))
	binary.NativeEndian.PutUint16(m[4:], kind)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|flags)
	m[unix.NLMSG_HDRLEN] = unix.AF_INET
	return unix.Sendto(fd, append(m, attributes...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// dump gives each of all connections to see.
func dump(fd int, see func(entry []byte)) error {
	if err := request(fd, kindGet, unix.NLM_F_DUMP, nil); err != nil {
		return err
	}
	return receive(fd, see)
}

// dumpEnd waits until the kernel has done what it was asked for.
func dumpEnd(fd int) error { return receive(fd, func([]byte) {}) }

// receive reads answers up to the last one.
func receive(fd int, see func(entry []byte)) error {
	answer := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(fd, answer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("recvfrom", err)
		}
		messages, err := syscall.ParseNetlinkMessage(answer[:n])
		if err != nil {
			return err
		}
		for _, m := range messages {
			switch {
			case m.Header.Type == unix.NLMSG_DONE:
				return nil
			case m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4:
				if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
					return unix.Errno(-code)
				}
				return nil
			case len(m.Data) > headerLen:
				see(m.Data[headerLen:])
			}
		}
	}
}

// entry is a connection that the kernel follows.
type entry struct {
	proto uint8
	to    netip.AddrPort
	// name are the attributes that tell it from all others. It is never without the
	// addresses: a kernel that is told none forgets everything.
	name []byte
}

func parse(raw []byte) (e entry, ok bool) {
	var port uint16
	var addr netip.Addr
	for kind, a := range attributes(raw) {
		switch kind {
		case attrOriginal:
			addr, e.proto, port = tuple(a.value)
		case attrID, attrZone:
		default:
			continue
		}
		e.name = append(e.name, a.whole...)
	}
	e.to = netip.AddrPortFrom(addr, port)
	return e, e.to.IsValid()
}

// tuple reads where packets of one direction go.
func tuple(raw []byte) (to netip.Addr, proto uint8, port uint16) {
	for kind, a := range attributes(raw) {
		switch kind {
		case tupleIP:
			if v, ok := attributes(a.value)[ipv4To]; ok {
				to, _ = netip.AddrFromSlice(v.value)
			}
		case tupleProto:
			of := attributes(a.value)
			if v, ok := of[protoNumber]; ok && len(v.value) == 1 {
				proto = v.value[0]
			}
			if v, ok := of[protoTo]; ok && len(v.value) == 2 {
				port = binary.BigEndian.Uint16(v.value)
			}
		}
	}
	return to, proto, port
}

// attribute is one of a message, and with its header and padding.
type attribute struct{ value, whole []byte }

// attributes are those of a message by kind; what is cut off is left out.
func attributes(raw []byte) map[uint16]attribute {
	all := map[uint16]attribute{}
	for len(raw) >= headerLen {
		n := int(binary.NativeEndian.Uint16(raw))
		if n < headerLen || n > len(raw) {
			break
		}
		end := min((n+3)&^3, len(raw))
		all[binary.NativeEndian.Uint16(raw[2:])&kindBits] = attribute{raw[headerLen:n], raw[:end:end]}
		raw = raw[end:]
	}
	return all
}
