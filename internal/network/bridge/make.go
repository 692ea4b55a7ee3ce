package bridge

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"laterna.dev/laterna/internal/host/rtnl"
)

// callsIPTables is there where the kernel can have packets between the ports of a bridge pass
// the rules for IPv4 (br_netfilter), whether or not it does. It is not loaded by us: it would
// change what becomes of the packets of every other bridge of the machine.
const callsIPTables = "/proc/sys/net/bridge/bridge-nf-call-iptables"

// Make makes the bridge with its address where it is not there yet: services may lead to the
// gateway before there is a pod.
func (n Network) Make() error {
	if _, err := n.ensure(n.hardwareAddr()); err != nil {
		return fmt.Errorf("making the pod network: %w", err)
	}
	return n.Translate()
}

// hardwareAddr is that of a bridge that we make, the same each time: pods remember it.
func (n Network) hardwareAddr() net.HardwareAddr {
	sum := sha256.Sum256([]byte(n.Bridge))
	return append(net.HardwareAddr{0x0a, 0x58}, sum[:4]...)
}

// Translate has answers of a pod to another pass the translation of addresses, where the
// kernel can do it for this bridge alone; where it cannot, Route says what is done instead.
// It is no error when there is no bridge yet.
func (n Network) Translate() error { return rtnl.SetCallIPTables(n.Bridge) }

// Route is the hardware address by which packets between pods go where they do not pass the
// translation of addresses otherwise; "" where they do, or there is no bridge yet.
func (n Network) Route() string {
	if _, err := os.Stat(callsIPTables); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	link, err := net.InterfaceByName(n.Bridge)
	if err != nil {
		return ""
	}
	return link.HardwareAddr.String()
}
