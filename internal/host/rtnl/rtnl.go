// Package rtnl reads, makes, connects and removes network links and reads routes over
// rtnetlink(7).
//
// It owns the messages to the kernel; which links and routes matter lives with the
// callers, and who hears of changes in host/netlink. It imports nothing of ours.
package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Route is an IPv4 route of the main table.
type Route struct {
	// Dst is the network; the default route is 0.0.0.0/0.
	Dst netip.Prefix
	// Link is the index of the outgoing link, 0 for routes without one.
	Link int
}

// Routes returns the IPv4 routes of the main table.
func Routes() ([]Route, error) {
	messages, err := dump(unix.RTM_GETROUTE, unix.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	var routes []Route
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWROUTE || len(m.Data) < unix.SizeofRtMsg {
			continue
		}
		const bits, table = 1, 4 // offsets in struct rtmsg
		if m.Data[table] != unix.RT_TABLE_MAIN {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, fmt.Errorf("listing routes: %w", err)
		}
		routes = append(routes, parseRoute(int(m.Data[bits]), attrs))
	}
	return routes, nil
}

func parseRoute(bits int, attrs []syscall.NetlinkRouteAttr) Route {
	r := Route{Dst: netip.PrefixFrom(netip.IPv4Unspecified(), bits)}
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.RTA_DST:
			if addr, ok := netip.AddrFromSlice(a.Value); ok {
				r.Dst = netip.PrefixFrom(addr, bits)
			}
		case unix.RTA_OIF:
			if len(a.Value) == 4 {
				r.Link = int(binary.NativeEndian.Uint32(a.Value))
			}
		}
	}
	return r
}

// dump asks for all objects of a kind. An answer that was cut by a change meanwhile
// is asked for again.
func dump(kind, family int) ([]syscall.NetlinkMessage, error) {
	for {
		raw, err := syscall.NetlinkRIB(kind, family)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return syscall.ParseNetlinkMessage(raw)
	}
}

// Link is a network link of this machine.
type Link struct {
	Index int
	Name  string
	// Master is the index of the bridge that the link is a port of, or 0.
	Master int
}

// linkIndex is where struct ifinfomsg has the index.
const linkIndex = 4

// Links returns all links.
func Links() ([]Link, error) {
	messages, err := dump(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("listing network links: %w", err)
	}
	var links []Link
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
			continue
		}
		link := Link{Index: int(binary.NativeEndian.Uint32(m.Data[linkIndex:]))}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, fmt.Errorf("listing network links: %w", err)
		}
		for _, a := range attrs {
			switch {
			case a.Attr.Type == unix.IFLA_IFNAME:
				link.Name = unix.ByteSliceToString(a.Value)
			case a.Attr.Type == unix.IFLA_MASTER && len(a.Value) == 4:
				link.Master = int(binary.NativeEndian.Uint32(a.Value))
			}
		}
		links = append(links, link)
	}
	return links, nil
}

// indexOf is the index of a link, 0 when there is none of that name.
func indexOf(name string) (int, error) {
	links, err := Links()
	if err != nil {
		return 0, err
	}
	for _, l := range links {
		if l.Name == name {
			return l.Index, nil
		}
	}
	return 0, nil
}

// DeleteLink removes a link. It is no error when there is none of that name.
func DeleteLink(name string) error {
	index, err := indexOf(name)
	if err != nil || index == 0 {
		return err
	}
	err = newMessage(unix.RTM_DELLINK, 0, ifinfomsg(unix.AF_UNSPEC, index, 0)).send()
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("deleting link %s: %w", name, err)
	}
	return nil
}

// talk sends one request and returns the error that the kernel acknowledges it with.
func talk(request []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Bind(fd, kernel); err != nil {
		return err
	}
	if err := unix.Sendto(fd, request, 0, kernel); err != nil {
		return err
	}
	answer := make([]byte, unix.Getpagesize())
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	messages, err := syscall.ParseNetlinkMessage(answer[:n])
	if err != nil {
		return err
	}
	for _, m := range messages {
		if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
			continue
		}
		if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
			return unix.Errno(-code)
		}
	}
	return nil
}
