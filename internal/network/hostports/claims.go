package hostports

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"

	"laterna.dev/laterna/internal/network/bridge"
)

// claim is a port of the machine. An address that is not valid stands for all.
type claim struct {
	addr  netip.Addr
	proto uint8
	port  uint16
}

// protocols are those that a port can be of, by the names of the runtime.
var protocols = map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

// claimOf reads what a pod asks for. The error says why nothing can lead to the pod.
func claimOf(m bridge.PortMapping) (claim, error) {
	proto, ok := protocols[strings.ToLower(m.Protocol)]
	switch {
	case !ok:
		return claim{}, fmt.Errorf("the protocol %q is not known", m.Protocol)
	case m.HostPort < 1 || m.HostPort > 65535 || m.ContainerPort < 1 || m.ContainerPort > 65535:
		return claim{}, fmt.Errorf("%d to %d are not two ports", m.HostPort, m.ContainerPort)
	}
	c := claim{proto: proto, port: uint16(m.HostPort)}
	if m.HostIP == "" {
		return c, nil
	}
	addr, err := netip.ParseAddr(m.HostIP)
	if err != nil {
		return claim{}, fmt.Errorf("hostIP %q is not an IP address", m.HostIP)
	}
	if addr = addr.Unmap(); !addr.Is4() {
		return claim{}, fmt.Errorf("hostIP %s is an IPv6 address, and pods have IPv4 alone", addr)
	}
	if !addr.IsUnspecified() {
		c.addr = addr
	}
	return c, nil
}

// overlaps tells whether one address can be meant by both.
func (c claim) overlaps(d claim) bool {
	return c.proto == d.proto && c.port == d.port && (!c.addr.IsValid() || !d.addr.IsValid() || c.addr == d.addr)
}

// String is how messages name it.
func (c claim) String() string {
	name := "TCP"
	for n, number := range protocols {
		if number == c.proto {
			name = strings.ToUpper(n)
		}
	}
	if c.addr.IsValid() {
		return fmt.Sprintf("%d/%s at %s", c.port, name, c.addr)
	}
	return fmt.Sprintf("%d/%s", c.port, name)
}

// key is how nftables has it.
func (c claim) key() []string {
	key := []string{strconv.Itoa(int(c.proto)), strconv.Itoa(int(c.port))}
	if c.addr.IsValid() {
		key = append([]string{c.addr.String()}, key...)
	}
	return key
}

// claimOfKey reads what key returns; ok is whether it is one.
func claimOfKey(key []string) (c claim, ok bool) {
	if len(key) == 3 {
		addr, err := netip.ParseAddr(key[0])
		if err != nil {
			return claim{}, false
		}
		c.addr, key = addr, key[1:]
	}
	if len(key) != 2 {
		return claim{}, false
	}
	proto, err := strconv.ParseUint(key[0], 10, 8)
	port, portErr := strconv.ParseUint(key[1], 10, 16)
	c.proto, c.port = uint8(proto), uint16(port)
	return c, err == nil && portErr == nil
}

// targets are where claims lead.
type targets map[claim]netip.AddrPort

// targetsOf are those of the sandboxes; the later one has a port that two ask for.
func targetsOf(all []bridge.Published) targets {
	t := targets{}
	for _, p := range all {
		for _, m := range p.Ports {
			if c, err := claimOf(m); err == nil {
				t[c] = netip.AddrPortFrom(p.Addr, uint16(m.ContainerPort))
			}
		}
	}
	return t
}

// changed are the claims that do not lead where they led before.
func (t targets) changed(before targets) (all []claim) {
	for c, to := range t {
		if before[c] != to {
			all = append(all, c)
		}
	}
	for c := range before {
		if _, ok := t[c]; !ok {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b claim) int { return cmp.Compare(a.String(), b.String()) })
	return all
}

// elements are those of the table, by the text that nft lists them as.
func elements(t targets, own []claim) map[string]*knftables.Element {
	all := map[string]*knftables.Element{}
	for c, to := range t {
		e := &knftables.Element{Map: portMap, Key: c.key(), Value: []string{to.Addr().String(), strconv.Itoa(int(to.Port()))}}
		if c.addr.IsValid() {
			e.Map = addressMap
		}
		all[strings.Join(e.Key, " . ")+" : "+strings.Join(e.Value, " . ")] = e
	}
	for _, c := range own {
		e := &knftables.Element{Set: ownPorts, Key: c.key()}
		if c.addr.IsValid() {
			e.Set = ownAddresses
		}
		all[strings.Join(e.Key, " . ")] = e
	}
	return all
}
