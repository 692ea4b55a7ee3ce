// Package netlink tells that something has changed in the kernel's network, by the
// groups of netlink(7) that hear of it.
//
// It owns the sockets, and knows of tables of nftables who has changed them; what has
// changed is for its users to look up: messages may be lost when there are too many. Reading and removing links lives in host/rtnl, tables of
// nftables in network/nftables.
package netlink

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// groupNFTables is the group that hears of every change of nftables (NFNLGRP_NFTABLES
// of linux/netfilter/nfnetlink.h).
const groupNFTables = 7

// LinkChanges tells of changes of any network link, or of an IPv4 address of one, until ctx
// ends: the channel, of one element, has one when there were some since it was last read.
func LinkChanges(ctx context.Context) (<-chan struct{}, error) {
	return changes(ctx, "network links", unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR)
}

// listen opens a socket that hears of changes.
func listen(of string, protocol int, groups ...uint32) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, fmt.Errorf("listening for changes of %s: %w", of, err)
	}
	mask := uint32(0)
	for _, g := range groups {
		mask |= 1 << (g - 1)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: mask}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listening for changes of %s: %w", of, err)
	}
	return os.NewFile(uintptr(fd), of), nil
}

func changes(ctx context.Context, of string, protocol int, groups ...uint32) (<-chan struct{}, error) {
	socket, err := listen(of, protocol, groups...)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	changes := make(chan struct{}, 1)
	go func() {
		defer stop()
		defer socket.Close()
		message := make([]byte, 64<<10)
		for {
			// What is lost because there was too much (ENOBUFS) is a change as well.
			if _, err := socket.Read(message); err != nil && !errors.Is(err, unix.ENOBUFS) {
				return
			}
			select {
			case changes <- struct{}{}:
			default:
			}
		}
	}()
	return changes, nil
}
