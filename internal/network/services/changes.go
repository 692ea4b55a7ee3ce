package services

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// groupNFTables is the netlink group that hears of every change of nftables
// (NFNLGRP_NFTABLES of linux/netfilter/nfnetlink.h).
const groupNFTables = 7

// Changes tells of changes of any nftables table of the machine until ctx ends: the
// channel, of one element, has one when there were some since it was last read.
func Changes(ctx context.Context) (<-chan struct{}, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("listening for changes of nftables: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (groupNFTables - 1)}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listening for changes of nftables: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "nftables")
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
