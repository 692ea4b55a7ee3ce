package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// noLinkLocalLearn is the bit of BR_BOOLOPT_NO_LL_LEARN of linux/if_bridge.h.
const noLinkLocalLearn = 1

// SetNoLinkLocalLearning has a bridge learn nothing from frames to the addresses of
// bridge protocols (01:80:c2:00:00:0X), which pass no rule of nftables on some kernels.
// It is no error when there is no bridge of that name.
func SetNoLinkLocalLearning(name string) error {
	links, err := Links()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(links, func(l Link) bool { return l.Name == name })
	if at < 0 {
		return nil
	}
	order := binary.NativeEndian
	option := order.AppendUint32(order.AppendUint32(nil, noLinkLocalLearn), noLinkLocalLearn) // value, mask
	info := attribute(unix.IFLA_LINKINFO, append(
		attribute(unix.IFLA_INFO_KIND, []byte("bridge")),
		attribute(unix.IFLA_INFO_DATA, attribute(unix.IFLA_BR_MULTI_BOOLOPT, option))...))
	request := append(make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg), info...)
	order.PutUint32(request[0:], uint32(len(request)))
	order.PutUint16(request[4:], unix.RTM_NEWLINK)
	order.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	order.PutUint32(request[unix.SizeofNlMsghdr+linkIndex:], uint32(links[at].Index))
	if err := talk(request); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("setting no_linklocal_learn of bridge %s: %w", name, err)
	}
	return nil
}

// attribute is one attribute of a message, padded to four bytes.
func attribute(kind uint16, value []byte) []byte {
	order := binary.NativeEndian
	a := order.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(value)))
	a = append(order.AppendUint16(a, kind), value...)
	for len(a)%4 != 0 {
		a = append(a, 0)
	}
	return a
}
