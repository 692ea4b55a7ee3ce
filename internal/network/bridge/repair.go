package bridge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/rtnl"
)

// connected is what the CNI library remembers of how pods are connected.
type connected struct {
	// address is that of the bridge: pods remember it.
	address net.HardwareAddr
	// ports are the links of pods on this machine's side.
	ports map[string]bool
}

// connected tells how pods are connected by what the CNI library remembers.
func (r *PortReader) connected() connected {
	c := connected{ports: map[string]bool{}}
	for _, remembered := range r.results.all() {
		for _, i := range remembered.Interfaces {
			switch {
			case i.Name == r.results.bridge:
				if mac, err := net.ParseMAC(i.MAC); err == nil {
					c.address = mac
				}
			case i.Sandbox == "" && strings.HasPrefix(i.Name, "veth"):
				c.ports[i.Name] = true
			}
		}
	}
	return c
}

// Repair makes the bridge again, with its address, when somebody has removed it, sets it
// up, and connects the pods to it that are not. It tells what it did, "" for nothing.
// Before the first pod there is nothing to repair.
func (n Network) Repair(r *PortReader) (did string, err error) {
	known := r.connected()
	if len(known.ports) == 0 {
		return "", nil
	}
	links, err := rtnl.Links()
	if err != nil {
		return "", fmt.Errorf("repairing the pod network: %w", err)
	}
	var done []string
	remade, err := n.ensure(known.address)
	if err != nil {
		return "", fmt.Errorf("repairing the pod network: %w", err)
	}
	if remade != "" {
		done = append(done, remade)
	}
	link, err := net.InterfaceByName(n.Bridge)
	if err != nil {
		return "", fmt.Errorf("repairing the pod network: %w", err)
	}
	pods := 0
	for _, l := range links {
		if !known.ports[l.Name] || l.Master == link.Index {
			continue
		}
		// A pod that ends meanwhile takes its link with it.
		if err := rtnl.AddPort(l.Index, link.Index); err != nil && !errors.Is(err, unix.ENODEV) {
			return "", fmt.Errorf("repairing the pod network: %w", err)
		}
		pods++
	}
	if pods > 0 {
		done = append(done, fmt.Sprintf("connected %d pods to it", pods))
	}
	return strings.Join(done, ", "), nil
}

// ensure brings the bridge itself in order, and tells what it did.
func (n Network) ensure(address net.HardwareAddr) (did string, err error) {
	link, err := net.InterfaceByName(n.Bridge)
	if err != nil {
		routes, err := rtnl.Routes()
		if err != nil {
			return "", err
		}
		// The plugin of CNI may have been faster.
		if err := rtnl.AddBridge(n.Bridge, address, mtu(routes)); err != nil && !errors.Is(err, unix.EEXIST) {
			return "", err
		}
		if link, err = net.InterfaceByName(n.Bridge); err != nil {
			return "", err
		}
		did = "made the bridge again"
	}
	if link.Flags&net.FlagUp == 0 {
		if err := rtnl.SetUp(link.Index); err != nil {
			return "", err
		}
		did = "set the bridge up"
	}
	addresses, err := link.Addrs()
	if err != nil {
		return "", err
	}
	own := netip.PrefixFrom(n.Gateway, n.Subnet.Bits())
	for _, a := range addresses {
		if a.String() == own.String() {
			return did, nil
		}
	}
	if err := rtnl.AddAddress(link.Index, own); err != nil {
		return "", err
	}
	if did == "" {
		did = "gave the bridge its address again"
	}
	return did, nil
}
