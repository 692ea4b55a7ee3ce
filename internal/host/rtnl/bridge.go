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
	index, err := indexOf(name)
	if err != nil || index == 0 {
		return err
	}
	order := binary.NativeEndian
	option := order.AppendUint32(order.AppendUint32(nil, noLinkLocalLearn), noLinkLocalLearn) // value, mask
	info := message(nil).attr(unix.IFLA_INFO_KIND, []byte("bridge")).
		attr(unix.IFLA_INFO_DATA, message(nil).attr(unix.IFLA_BR_MULTI_BOOLOPT, option))
	err = newMessage(unix.RTM_NEWLINK, 0, ifinfomsg(unix.AF_UNSPEC, index, 0)).attr(unix.IFLA_LINKINFO, info).send()
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("setting no_linklocal_learn of bridge %s: %w", name, err)
	}
	return nil
}
