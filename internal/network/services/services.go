package services

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sigs.k8s.io/knftables"

	"laterna.dev/laterna/internal/host/rtnl"
	"laterna.dev/laterna/internal/network/nftables"
)

// Protocol is the transport protocol of a service, in nftables' words.
type Protocol string

// The protocols that services can have.
const (
	TCP Protocol = "tcp"
	UDP Protocol = "udp"
)

// Service is one port of a service.
type Service struct {
	// Name says in listings what it is; namespace/name:port by habit.
	Name     string
	Address  netip.AddrPort
	Protocol Protocol
	// Backends are where connections from pods go, each as often as the others.
	// Without backends connections are refused.
	Backends []netip.AddrPort
	// HostBackends are where connections of the machine's own programs go, when that
	// differs: the gateway of pods does not exist before the first of them.
	HostBackends []netip.AddrPort
}

// Config says whose packets are routed. All fields are required.
type Config struct {
	// Table names the nftables table (datadir.Dir.HostName).
	Table string
	// Bridge is the link by which packets of pods come in.
	Bridge string
	// Subnet holds the addresses of pods.
	Subnet netip.Prefix
	// Range holds the addresses of services.
	Range netip.Prefix
	Log   *slog.Logger
}

// Router owns the table. Sync may be called concurrently.
type Router struct {
	cfg Config

	mu  sync.Mutex
	nft knftables.Interface // nil until the first Sync, since making it runs nft twice
	// written is the listing of the table after the last Sync.
	written []string
}

// New checks that nft is there. It runs nothing.
func New(cfg Config) (*Router, error) {
	if err := nftables.Check(); err != nil {
		return nil, fmt.Errorf("service routing: %w", err)
	}
	return &Router{cfg: cfg}, nil
}

// Sync makes the table route exactly these services, in one transaction. Connections
// that are open stay as they are.
func (r *Router) Sync(ctx context.Context, all []Service) error {
	for _, s := range all {
		if err := s.check(); err != nil {
			return fmt.Errorf("service routing: %w", err)
		}
	}
	protect, err := r.hostMayRefuse()
	if err != nil {
		return fmt.Errorf("service routing: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.nft == nil {
		if r.nft, err = knftables.New(nftables.IPv4, r.cfg.Table); err != nil {
			return fmt.Errorf("service routing: %w", err)
		}
	}
	if err := r.nft.Run(ctx, transaction(r.nft, r.cfg, all, protect)); err != nil {
		return fmt.Errorf("service routing: %w", err)
	}
	if r.written, err = nftables.Listing(ctx, nftables.IPv4, r.cfg.Table); err != nil {
		return fmt.Errorf("service routing: %w", err)
	}
	return nil
}

func (s Service) check() error {
	addresses := append(slices.Concat(s.Backends, s.HostBackends), s.Address)
	for _, a := range addresses {
		if !a.Addr().Is4() || a.Port() == 0 {
			return fmt.Errorf("service %s: %v is not an IPv4 address with a port", s.Name, a)
		}
	}
	if s.Protocol != TCP && s.Protocol != UDP {
		return fmt.Errorf("service %s: unknown protocol %q", s.Name, s.Protocol)
	}
	return nil
}

// hostMayRefuse reports whether packets of the machine's own programs to the service
// range may be refused: not when a route says that a real network has such addresses.
func (r *Router) hostMayRefuse() (bool, error) {
	routes, err := rtnl.Routes()
	if err != nil {
		return false, err
	}
	for _, route := range routes {
		if route.Dst.Bits() > 0 && route.Dst.Overlaps(r.cfg.Range) {
			r.cfg.Log.Warn("the service range is in use by a network of this machine; choose another with --service-cluster-ip-range",
				"range", r.cfg.Range, "route", route.Dst)
			return false, nil
		}
	}
	return true, nil
}

// transaction replaces the table.
func transaction(nft knftables.Interface, cfg Config, all []Service, protect bool) *knftables.Transaction {
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	tx.Add(&knftables.Table{Comment: knftables.PtrTo("laterna: services and pod network")})
	addNAT(tx, cfg, all)
	addFilter(tx, cfg, protect)
	return tx
}

// hook adds a base chain.
func hook(tx *knftables.Transaction, name string, kind knftables.BaseChainType, at knftables.BaseChainHook, when knftables.BaseChainPriority) {
	tx.Add(&knftables.Chain{Name: name, Type: &kind, Hook: &at, Priority: &when})
}

func addNAT(tx *knftables.Transaction, cfg Config, all []Service) {
	addLookup(tx, "pods", all, func(s Service) []netip.AddrPort { return s.Backends })
	addLookup(tx, "host", all, func(s Service) []netip.AddrPort {
		if len(s.HostBackends) > 0 {
			return s.HostBackends
		}
		return s.Backends
	})
	hook(tx, "prerouting", knftables.NATType, knftables.PreroutingHook, knftables.DNATPriority)
	tx.Add(&knftables.Rule{Chain: "prerouting", Rule: knftables.Concat("iifname", cfg.Bridge, "jump", "services-pods")})
	hook(tx, "output", knftables.NATType, knftables.OutputHook, knftables.DNATPriority)
	tx.Add(&knftables.Rule{Chain: "output", Rule: "jump services-host"})
	hook(tx, "postrouting", knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority)
	tx.Add(&knftables.Rule{Chain: "postrouting", Rule: knftables.Concat(
		"ip saddr", cfg.Subnet, "oifname !=", cfg.Bridge, "ip daddr != 224.0.0.0/4", "masquerade")})
}

// addLookup adds the map from service addresses to chains for one side, and the
// chains.
func addLookup(tx *knftables.Transaction, side string, all []Service, backends func(Service) []netip.AddrPort) {
	addresses := "addresses-" + side
	tx.Add(&knftables.Map{Name: addresses, Type: "ipv4_addr . inet_proto . inet_service : verdict"})
	for i, s := range all {
		to := backends(s)
		if len(to) == 0 {
			continue
		}
		chain := "service-" + side + "-" + strconv.Itoa(i)
		tx.Add(&knftables.Chain{Name: chain, Comment: &s.Name})
		tx.Add(&knftables.Rule{Chain: chain, Rule: destination(s.Protocol, to)})
		tx.Add(&knftables.Element{
			Map:   addresses,
			Key:   []string{s.Address.Addr().String(), string(s.Protocol), strconv.Itoa(int(s.Address.Port()))},
			Value: []string{"goto " + chain},
		})
	}
	tx.Add(&knftables.Chain{Name: "services-" + side})
	tx.Add(&knftables.Rule{Chain: "services-" + side, Rule: "ip daddr . meta l4proto . th dport vmap @" + addresses})
}

// destination rewrites a packet's destination to one of the backends.
func destination(protocol Protocol, to []netip.AddrPort) string {
	if len(to) == 1 {
		return knftables.Concat("meta l4proto", string(protocol), "dnat to", to[0])
	}
	var parts []string
	for i, a := range to {
		parts = append(parts, fmt.Sprintf("%d : %s . %d", i, a.Addr(), a.Port()))
	}
	return knftables.Concat("meta l4proto", string(protocol), "dnat ip to numgen random mod", len(to), "map {", strings.Join(parts, ", "), "}")
}

// otherBridges are the names of all systems' bridges, see datadir.Dir.Bridge.
const otherBridges = `"lt-*"`

// addFilter refuses what is still addressed to the service range after the lookup, and
// what comes from pods of other systems.
func addFilter(tx *knftables.Transaction, cfg Config, protect bool) {
	tx.Add(&knftables.Chain{Name: "refuse"})
	// A reset, since the kernel ignores an ICMP error that comes while connect(2) is
	// still sending, and would only see the next one a second later.
	tx.Add(&knftables.Rule{Chain: "refuse", Rule: "meta l4proto tcp reject with tcp reset"})
	tx.Add(&knftables.Rule{Chain: "refuse", Rule: "reject"})
	hook(tx, "forward", knftables.FilterType, knftables.ForwardHook, knftables.FilterPriority)
	tx.Add(&knftables.Rule{Chain: "forward", Rule: knftables.Concat("iifname", cfg.Bridge, "ip daddr", cfg.Range, "goto refuse")})
	// Systems that share the machine are apart: neither pods nor the gateway of this one
	// are reached by the bridge of another.
	of := []any{"iifname", otherBridges, "iifname !=", cfg.Bridge}
	tx.Add(&knftables.Rule{Chain: "forward", Rule: knftables.Concat(append(of, "oifname", cfg.Bridge, "goto refuse")...)})
	hook(tx, "input", knftables.FilterType, knftables.InputHook, knftables.FilterPriority)
	tx.Add(&knftables.Rule{Chain: "input", Rule: knftables.Concat(append(of, "ip daddr", cfg.Subnet.Addr().Next(), "goto refuse")...)})
	if !protect {
		return
	}
	hook(tx, "filter-output", knftables.FilterType, knftables.OutputHook, knftables.FilterPriority)
	tx.Add(&knftables.Rule{Chain: "filter-output", Rule: knftables.Concat("ip daddr", cfg.Range, "goto refuse")})
}
