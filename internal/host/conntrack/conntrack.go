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
	attrReply    = 2  // CTA_TUPLE_REPLY
	attrID       = 12 // CTA_ID
	attrZone     = 18 // CTA_ZONE
	tupleIP      = 1  // CTA_TUPLE_IP
	tupleProto   = 2  // CTA_TUPLE_PROTO
	ipv4From     = 1  // CTA_IP_V4_SRC
	ipv4To       = 2  // CTA_IP_V4_DST
	protoNumber  = 1  // CTA_PROTO_NUM
	protoFrom    = 2  // CTA_PROTO_SRC_PORT
	protoTo      = 3  // CTA_PROTO_DST_PORT

	// nested is a bit of an attribute's kind (NLA_F_NESTED), order another.
	kindBits  = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
	headerLen = 4 // of struct nfgenmsg, and of an attribute
)

// Flow is where the first packet of a connection was sent To, and whom it is answered From:
// another where its destination was rewritten.
type Flow struct{ To, From netip.AddrPort }

// ForgetUDP has the kernel forget the UDP "connections" that are stale, and tells how many there were: while packets come, one of an address that nobody
// has any more would live for ever.
func ForgetUDP(stale func(Flow) bool) (forgotten int, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return 0, fmt.Errorf("listing connections of the kernel: %w", err)
	}
	defer unix.Close(fd)
	var found [][]byte
	err = dump(fd, func(entry []byte) {
		if e, ok := parse(entry); ok && e.proto == unix.IPPROTO_UDP && stale(e.flow) {
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
	flow  Flow
	// name are the attributes that tell it from all others. It is never without the
	// addresses: a kernel that is told none forgets everything.
	name []byte
}

func parse(raw []byte) (e entry, ok bool) {
	for kind, a := range attributes(raw) {
		switch kind {
		case attrOriginal:
			e.proto, _, e.flow.To = tuple(a.value)
		case attrReply:
			_, e.flow.From, _ = tuple(a.value)
			continue
		case attrID, attrZone:
		default:
			continue
		}
		e.name = append(e.name, a.whole...)
	}
	return e, e.flow.To.IsValid()
}

// tuple reads from where and to where packets of one direction go.
func tuple(raw []byte) (proto uint8, from, to netip.AddrPort) {
	all := attributes(raw)
	addrs, ports := attributes(all[tupleIP].value), attributes(all[tupleProto].value)
	if v := ports[protoNumber].value; len(v) == 1 {
		proto = v[0]
	}
	end := func(addrKind, portKind uint16) netip.AddrPort {
		addr, _ := netip.AddrFromSlice(addrs[addrKind].value)
		port := uint16(0)
		if v := ports[portKind].value; len(v) == 2 {
			port = binary.BigEndian.Uint16(v)
		}
		return netip.AddrPortFrom(addr, port)
	}
	return proto, end(ipv4From, protoFrom), end(ipv4To, protoTo)
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
