package services

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"sigs.k8s.io/knftables"
)

// Fixed is a port of a service that is routed by configuration, whether or not the API
// answers, and whatever it says.
type Fixed struct {
	Address  netip.AddrPort
	Protocol Protocol
	// Backend is where packets from pods go.
	Backend netip.AddrPort
	// HostBackend is where those of the machine's own programs go, when that differs: the
	// gateway of pods may not exist yet.
	HostBackend netip.AddrPort
	// PodsOnly leaves the machine's own programs where they are.
	PodsOnly bool
}

// check fails where it cannot be routed.
func (f Fixed) check() error {
	for _, a := range []netip.AddrPort{f.Address, f.Backend, f.host()} {
		if !a.Addr().Is4() || a.Port() == 0 {
			return fmt.Errorf("%v is not an IPv4 address with a port", a)
		}
	}
	if !known(f.Protocol) {
		return fmt.Errorf("unknown protocol %q", f.Protocol)
	}
	return nil
}

func (f Fixed) host() netip.AddrPort {
	if f.HostBackend.IsValid() {
		return f.HostBackend
	}
	return f.Backend
}

// What the table has besides what services bring.
const (
	fixedPods = "fixed-pods"
	fixedHost = "fixed-host"
	itself    = "itself"
	ownPorts  = "own-ports"

	addressType = "ipv4_addr . inet_proto . inet_service"
	portType    = "inet_proto . inet_service"
	destType    = "ipv4_addr . inet_service"
)

// Stamp is the set that has one element, by which it is known which transaction was the last
// of ours.
const Stamp = "written"

// otherBridges are the names of all systems' bridges, see datadir.Dir.Bridge.
const otherBridges = `"lt-*"`

// metadata are the addresses at which clouds give a machine its own credentials: of the
// instance, and of the task or pod. Pods have no IPv6 (network/ports), so fd00:ec2::254 and
// fd00:ec2::23 need no rule. What is fixed at one of them is led away before it is refused.
const metadata = "{ 169.254.169.254, 169.254.170.2, 169.254.170.23 }"

// base is what the table has besides what services bring, for a table that may be there.
type base struct {
	cfg   Config
	fixed []Fixed
	own   []uint16
	// refuse is whether packets of the machine's own programs to the range are refused.
	refuse bool
	tx     *knftables.Transaction
}

// write adds everything; what services have brought stays.
func (b base) write() {
	b.tx.Add(&knftables.Table{Comment: knftables.PtrTo("laterna: services and pod network")})
	b.tx.Add(&knftables.Set{Name: Stamp, Type: "mark"})
	for _, m := range []string{serviceIPs, externalIPs, unservedIPs} {
		b.tx.Add(&knftables.Map{Name: m, Type: addressType + " : verdict"})
	}
	for _, m := range []string{nodePorts, unservedPorts} {
		b.tx.Add(&knftables.Map{Name: m, Type: portType + " : verdict"})
	}
	b.lookups()
	b.translation()
	b.filter()
}

// lookups are what is known by configuration alone.
func (b base) lookups() {
	for _, m := range []string{fixedPods, fixedHost} {
		b.tx.Add(&knftables.Map{Name: m, Type: addressType + " : " + destType})
		b.tx.Flush(&knftables.Map{Name: m})
	}
	for _, f := range b.fixed {
		key := []string{f.Address.Addr().String(), string(f.Protocol), strconv.Itoa(int(f.Address.Port()))}
		for in, to := range map[string]netip.AddrPort{fixedPods: f.Backend, fixedHost: f.host()} {
			if in == fixedHost && f.PodsOnly {
				continue
			}
			b.tx.Add(&knftables.Element{Map: in, Key: key, Value: []string{to.Addr().String(), strconv.Itoa(int(to.Port()))}})
		}
	}
	b.tx.Add(&knftables.Set{Name: ownPorts, Type: portType})
	b.tx.Flush(&knftables.Set{Name: ownPorts})
	for _, p := range b.own {
		b.tx.Add(&knftables.Element{Set: ownPorts, Key: []string{string(TCP), strconv.Itoa(int(p))}})
	}
	b.tx.Add(&knftables.Set{Name: itself, Type: "ipv4_addr . ipv4_addr"})
	b.tx.Flush(&knftables.Set{Name: itself})
	for _, a := range addresses(b.cfg.Subnet) {
		b.tx.Add(&knftables.Element{Set: itself, Key: []string{a.String(), a.String()}})
	}
}

// maxItself bounds how many addresses of pods are listed.
const maxItself = 1 << 12

// addresses are those of a subnet that pods can have.
func addresses(p netip.Prefix) (all []netip.Addr) {
	for a := p.Masked().Addr().Next().Next(); p.Contains(a.Next()) && len(all) < maxItself; a = a.Next() {
		all = append(all, a)
	}
	return all
}

// chain makes the rules of a chain these.
func (b base) chain(name string, rules ...string) {
	b.tx.Add(&knftables.Chain{Name: name})
	b.rules(name, rules)
}

func (b base) rules(name string, rules []string) {
	b.tx.Flush(&knftables.Chain{Name: name})
	for _, r := range rules {
		b.tx.Add(&knftables.Rule{Chain: name, Rule: r})
	}
}

// hook is chain for a base chain.
func (b base) hook(name string, kind knftables.BaseChainType, at knftables.BaseChainHook, when knftables.BaseChainPriority, rules ...string) {
	b.tx.Add(&knftables.Chain{Name: name, Type: &kind, Hook: &at, Priority: &when})
	b.rules(name, rules)
}

const (
	ofAddress = "ip daddr . meta l4proto . th dport "
	ofPort    = "meta l4proto . th dport "
	// toNode are packets to an address of the machine but its loopback, which no packet has
	// that comes by a link.
	toNode = "fib daddr type local ip daddr != 127.0.0.0/8 "
	// toOwnPorts comes before whatever services ask for: what this system itself listens at
	// is neither led elsewhere nor refused.
	toOwnPorts = toNode + ofPort + "@" + ownPorts + " return"
)

// translation rewrites destinations, and sources where an answer would miss this machine.
func (b base) translation() {
	bridge, subnet := b.cfg.Bridge, b.cfg.Subnet
	b.chain("pods", "dnat ip to "+ofAddress+"map @"+fixedPods, ofAddress+"vmap @"+serviceIPs)
	b.chain("host", "dnat ip to "+ofAddress+"map @"+fixedHost, ofAddress+"vmap @"+serviceIPs)
	b.chain("external",
		toOwnPorts,
		ofAddress+"vmap @"+externalIPs,
		toNode+ofPort+"vmap @"+nodePorts)
	b.hook("prerouting", knftables.NATType, knftables.PreroutingHook, knftables.DNATPriority,
		knftables.Concat("iifname", otherBridges, "iifname !=", bridge, "return"),
		knftables.Concat("iifname", bridge, "jump pods"),
		"jump external")
	b.hook("output", knftables.NATType, knftables.OutputHook, knftables.DNATPriority, "jump host", "jump external")
	sources := []string{
		knftables.Concat("ip saddr", subnet, "oifname !=", bridge, "ip daddr != 224.0.0.0/4", "masquerade"),
		// A pod that reaches itself would answer itself, past this machine.
		knftables.Concat("ct status dnat ip saddr . ip daddr @"+itself, "masquerade"),
	}
	sources = append(sources,
		"meta mark & "+translatedMark+" != "+translatedMark+" return",
		"meta mark set meta mark ^ "+translatedMark,
		// What goes to a pod here is answered by way of this machine anyhow, and keeps its
		// source.
		knftables.Concat("oifname !=", bridge, "masquerade"))
	b.hook("postrouting", knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority, sources...)
}

// filter refuses what is still addressed to the service range after the lookup, what has no
// endpoint, what comes from pods of other systems, and the way of pods to the credentials of
// the machine.
func (b base) filter() {
	bridge := b.cfg.Bridge
	// A reset, since the kernel ignores an ICMP error that comes while connect(2) is
	// still sending, and would only see the next one a second later.
	b.chain("refuse", "meta l4proto tcp reject with tcp reset", "reject")
	b.chain("unserved", toOwnPorts, ofAddress+"vmap @"+unservedIPs)
	b.chain("unserved-node", toOwnPorts, ofAddress+"vmap @"+unservedIPs, toNode+ofPort+"vmap @"+unservedPorts)
	// Systems that share the machine are apart: neither pods nor the gateway of this one
	// are reached by the bridge of another.
	other := knftables.Concat("iifname", otherBridges, "iifname !=", bridge)
	b.hook("forward", knftables.FilterType, knftables.ForwardHook, knftables.FilterPriority,
		knftables.Concat(other, "oifname", bridge, "goto refuse"),
		knftables.Concat(other, "return"),
		knftables.Concat("iifname", bridge, "ip daddr", metadata, "goto refuse"),
		"ct state new jump unserved",
		knftables.Concat("iifname", bridge, "ip daddr", b.cfg.Range, "goto refuse"))
	b.hook("input", knftables.FilterType, knftables.InputHook, knftables.FilterPriority,
		knftables.Concat(other, "ip daddr", b.cfg.Subnet.Addr().Next(), "goto refuse"),
		knftables.Concat(other, "return"),
		knftables.Concat("iifname", bridge, "ip daddr", metadata, "goto refuse"),
		"ct state new jump unserved-node")
	rules := []string{
		"ct state new jump unserved",
		// A pod is not to be told that what is behind a service is nearer by itself.
		knftables.Concat("oifname", bridge, "icmp type redirect drop"),
	}
	if b.refuse {
		rules = append(rules, knftables.Concat("ip daddr", b.cfg.Range, "goto refuse"))
	}
	b.hook("filter-output", knftables.FilterType, knftables.OutputHook, knftables.FilterPriority, rules...)
}

// stampKey is how nft writes the stamp, and stampOf reads what the kernel tells of it.
func stampKey(n uint32) string { return fmt.Sprintf("0x%08x", n) }

func stampOf(raw []byte) (n uint32, ok bool) {
	if len(raw) != 4 {
		return 0, false
	}
	return binary.NativeEndian.Uint32(raw), true
}
