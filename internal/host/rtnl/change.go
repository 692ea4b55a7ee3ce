package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// message is a request to the kernel: a header, the fixed part of its kind, attributes.
type message []byte

// newMessage begins a request of a kind with its fixed part.
func newMessage(kind, flags uint16, fixed []byte) message {
	m := make(message, unix.SizeofNlMsghdr, 256)
	binary.NativeEndian.PutUint16(m[4:], kind)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
	return append(m, fixed...)
}

// attr adds an attribute, padded as the kernel wants it.
func (m message) attr(kind uint16, value []byte) message {
	var head [4]byte
	binary.NativeEndian.PutUint16(head[0:], uint16(len(head)+len(value)))
	binary.NativeEndian.PutUint16(head[2:], kind)
	m = append(append(m, head[:]...), value...)
	for len(m)%unix.NLMSG_ALIGNTO != 0 {
		m = append(m, 0)
	}
	return m
}

// send sends the request and returns what the kernel says to it.
func (m message) send() error {
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	return talk(m)
}

// ifinfomsg is the fixed part of requests about links; flags are those to set.
func ifinfomsg(family uint8, index int, flags uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	b[0] = family
	binary.NativeEndian.PutUint32(b[linkIndex:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], flags) // which of them to change
	return b
}

func number(n int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }

// AddBridge makes a bridge and sets it up. An address or mtu of nothing is the kernel's
// choice. The error is unix.EEXIST (wrapped) when there is a link of that name.
func AddBridge(name string, address net.HardwareAddr, mtu int) error {
	m := newMessage(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, ifinfomsg(unix.AF_UNSPEC, 0, unix.IFF_UP))
	m = m.attr(unix.IFLA_IFNAME, append([]byte(name), 0))
	if len(address) > 0 {
		m = m.attr(unix.IFLA_ADDRESS, address)
	}
	if mtu > 0 {
		m = m.attr(unix.IFLA_MTU, number(mtu))
	}
	m = m.attr(unix.IFLA_LINKINFO, message(nil).attr(unix.IFLA_INFO_KIND, []byte("bridge")))
	if err := m.send(); err != nil {
		return fmt.Errorf("making bridge %s: %w", name, err)
	}
	return nil
}

// SetUp sets a link up.
func SetUp(index int) error {
	if err := newMessage(unix.RTM_NEWLINK, 0, ifinfomsg(unix.AF_UNSPEC, index, unix.IFF_UP)).send(); err != nil {
		return fmt.Errorf("setting link %d up: %w", index, err)
	}
	return nil
}

// AddPort makes a link a port of a bridge, by which packets may also leave through the
// port that they came from (hairpin).
func AddPort(index, bridge int) error {
	m := newMessage(unix.RTM_NEWLINK, 0, ifinfomsg(unix.AF_UNSPEC, index, 0)).attr(unix.IFLA_MASTER, number(bridge))
	if err := m.send(); err != nil {
		return fmt.Errorf("connecting link %d to bridge %d: %w", index, bridge, err)
	}
	hairpin := message(nil).attr(unix.IFLA_BRPORT_MODE, []byte{1})
	m = newMessage(unix.RTM_SETLINK, 0, ifinfomsg(unix.AF_BRIDGE, index, 0)).attr(unix.IFLA_PROTINFO|unix.NLA_F_NESTED, hairpin)
	if err := m.send(); err != nil {
		return fmt.Errorf("letting packets of link %d return to it: %w", index, err)
	}
	return nil
}

// AddAddress gives a link an IPv4 address with its network. It is no error when it has it.
func AddAddress(index int, p netip.Prefix) error {
	fixed := make([]byte, unix.SizeofIfAddrmsg)
	fixed[0], fixed[1] = unix.AF_INET, uint8(p.Bits())
	binary.NativeEndian.PutUint32(fixed[4:], uint32(index))
	addr := p.Addr().AsSlice()
	err := newMessage(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, fixed).attr(unix.IFA_LOCAL, addr).attr(unix.IFA_ADDRESS, addr).send()
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("adding address %s to link %d: %w", p, index, err)
	}
	return nil
}
