package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// noLinkLocalLearn is the bit of BR_BOOLOPT_NO_LL_LEARN of linux/if_bridge.h.
const noLinkLocalLearn = 1

// SetNoLinkLocalLearning has a bridge learn nothing from frames to the addresses of
// bridge protocols (01:80:c2:00:00:0X), which pass no rule of nftables on some kernels.
// It is no error when there is no bridge of that name.
func SetNoLinkLocalLearning(name string) error {
	order := binary.NativeEndian
	option := order.AppendUint32(order.AppendUint32(nil, noLinkLocalLearn), noLinkLocalLearn) // value, mask
	return setBridge(name, "no_linklocal_learn", message(nil).attr(unix.IFLA_BR_MULTI_BOOLOPT, option))
}

// SetCallIPTables has what a bridge forwards pass the rules for IPv4 of this machine, and
// with them the translation of addresses. Other bridges stay as they are. It is no error
// when there is no bridge of that name; without the kernel's br_netfilter it does nothing.
func SetCallIPTables(name string) error {
	return setBridge(name, "nf_call_iptables", message(nil).attr(unix.IFLA_BR_NF_CALL_IPTABLES, []byte{1}))
}

func setBridge(name, what string, options message) error {
	index, err := indexOf(name)
	if err != nil || index == 0 {
		return err
	}
	info := message(nil).attr(unix.IFLA_INFO_KIND, []byte("bridge")).attr(unix.IFLA_INFO_DATA, options)
	err = newMessage(unix.RTM_NEWLINK, 0, ifinfomsg(unix.AF_UNSPEC, index, 0)).attr(unix.IFLA_LINKINFO, info).send()
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("setting %s of bridge %s: %w", what, name, err)
	}
	return nil
}
