package hostports

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/conntrack"
	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/nftables"
)

// Config says to whom ports lead. All fields are required.
type Config struct {
	// Table names the nftables table (datadir.Dir.HostName).
	Table string
	// Bridge is the link behind which pods are.
	Bridge string
	// Subnet holds the addresses of pods, Services those of services.
	Subnet, Services netip.Prefix
	// Published returns the sandboxes that ports are to lead to now.
	Published func() ([]bridge.Published, error)
	// Mark is a file, gone after a reboot, that is there while the table is: an end of
	// laterna and of the pods meanwhile must not leave a table behind.
	Mark string
	Log  *slog.Logger
}

// Router owns the table. It may be used concurrently.
type Router struct {
	cfg Config

	mu    sync.Mutex
	table nftables.Kept
	own   []claim
	// led is where the table leads, seen when each sandbox was first seen, by number.
	led  targets
	seen map[string]int
}

// New returns the router of a network. It runs nothing.
func New(cfg Config) *Router {
	r := &Router{cfg: cfg, seen: map[string]int{}}
	r.table = nftables.Kept{Family: nftables.Inet, Name: cfg.Table, Rules: r.rules}
	return r
}

// Reserve keeps TCP ports that this system itself listens at from being led elsewhere. It
// is called before the others.
func (r *Router) Reserve(at ...netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range at {
		c := claim{proto: unix.IPPROTO_TCP, port: a.Port()}
		switch addr := a.Addr().Unmap(); {
		case addr.IsUnspecified(): // of IPv6 as well, which takes IPv4
		case addr.Is4():
			c.addr = addr
		default:
			continue
		}
		if !slices.Contains(r.own, c) {
			r.own = append(r.own, c)
		}
	}
}

// Follow has the ports lead to the sandboxes that there are now: to those that were
// connected before the call when it returns. Without any there is no table, and nft is run
// only where something changes.
func (r *Router) Follow(ctx context.Context) error { return r.write(ctx, false) }

// Sync does the same and writes the whole table anew where there is to be one.
func (r *Router) Sync(ctx context.Context) error { return r.write(ctx, true) }

func (r *Router) write(ctx context.Context, anew bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, err := r.inOrder()
	want := targetsOf(all)
	if err == nil {
		err = r.lead(ctx, want, anew)
	}
	if err != nil {
		return fmt.Errorf("leading ports of the machine to pods: %w", err)
	}
	stale := want.changed(r.led)
	r.led = want
	r.forget(stale)
	return nil
}

// inOrder are the sandboxes, those last that came last.
func (r *Router) inOrder() ([]bridge.Published, error) {
	all, err := r.cfg.Published()
	if err != nil {
		return nil, err
	}
	seen, next := map[string]int{}, 0
	for _, n := range r.seen {
		next = max(next, n+1)
	}
	for _, p := range all {
		n, ok := r.seen[p.Sandbox]
		if !ok {
			n, next = next, next+1
		}
		seen[p.Sandbox] = n
	}
	r.seen = seen
	slices.SortStableFunc(all, func(a, b bridge.Published) int { return seen[a.Sandbox] - seen[b.Sandbox] })
	return all, nil
}

func (r *Router) lead(ctx context.Context, want targets, anew bool) error {
	if len(want) == 0 {
		return r.clear(ctx)
	}
	if !r.table.Written() {
		if err := os.WriteFile(r.cfg.Mark, nil, 0o600); err != nil {
			return err
		}
	}
	if err := r.table.Set(ctx, elements(want, r.own), anew); err != nil {
		return err
	}
	// After the rules, which keep pods from the loopback.
	if err := r.routeLoopback(true); err != nil {
		r.cfg.Log.Warn("ports of pods are not reached at 127.0.0.1: the pod network may not be routed to from there", "bridge", r.cfg.Bridge, "error", err)
	}
	return nil
}

// clear removes the table where there is one.
func (r *Router) clear(ctx context.Context) error {
	if _, err := os.Lstat(r.cfg.Mark); errors.Is(err, fs.ErrNotExist) && !r.table.Written() {
		return nil
	}
	if err := r.routeLoopback(false); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := r.table.Remove(ctx); err != nil {
		return err
	}
	if err := os.Remove(r.cfg.Mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// routeLoopback has packets from 127.0.0.1 routed to the bridge, or not.
func (r *Router) routeLoopback(on bool) error {
	file, want := filepath.Join("/proc/sys/net/ipv4/conf", r.cfg.Bridge, "route_localnet"), "0"
	if on {
		want = "1"
	}
	now, err := bounded.File(file, bounded.Small)
	if err != nil || strings.TrimSpace(string(now)) == want {
		return err
	}
	return os.WriteFile(file, []byte(want), 0)
}

// forget has the kernel forget where UDP packets to the claims went before: a sender that
// does not pause would send to a pod that is gone for ever, or to none.
func (r *Router) forget(stale []claim) {
	stale = slices.DeleteFunc(stale, func(c claim) bool { return c.proto != unix.IPPROTO_UDP })
	if len(stale) == 0 {
		return
	}
	here, err := net.InterfaceAddrs()
	if err != nil {
		r.cfg.Log.Warn("addresses of the machine not listed", "error", err)
	}
	local := map[netip.Addr]bool{}
	for _, a := range here {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			local[p.Addr()] = true
		}
	}
	_, err = conntrack.ForgetUDP(func(f conntrack.Flow) bool {
		to := f.To
		at := claim{addr: to.Addr(), proto: unix.IPPROTO_UDP, port: to.Port()}
		return (local[to.Addr()] || to.Addr().IsLoopback()) && slices.ContainsFunc(stale, at.overlaps)
	})
	if err != nil {
		r.cfg.Log.Warn("senders of UDP packets to a port of a pod may reach a former one until they pause", "error", err)
	}
}

const (
	portMap      = "ports"
	addressMap   = "addresses"
	ownPorts     = "own-ports"
	ownAddresses = "own-addresses"
)

// rules adds all of the table but its elements.
func (r *Router) rules(tx *knftables.Transaction) {
	const port, at = "inet_proto . inet_service", "ipv4_addr . inet_proto . inet_service"
	const to = "ipv4_addr . inet_service"
	tx.Add(&knftables.Table{Comment: knftables.PtrTo("laterna: ports of the machine that lead to pods")})
	tx.Add(&knftables.Set{Name: ownPorts, Type: port})
	tx.Add(&knftables.Set{Name: ownAddresses, Type: at})
	tx.Add(&knftables.Map{Name: portMap, Type: port + " : " + to})
	tx.Add(&knftables.Map{Name: addressMap, Type: at + " : " + to})
	chain := func(name string, kind knftables.BaseChainType, hook knftables.BaseChainHook, when knftables.BaseChainPriority, rules ...string) {
		c := &knftables.Chain{Name: name}
		if kind != "" {
			c.Type, c.Hook, c.Priority = &kind, &hook, &when
		}
		tx.Add(c)
		for _, rule := range rules {
			tx.Add(&knftables.Rule{Chain: name, Rule: rule})
		}
	}
	chain("guard", knftables.FilterType, knftables.PreroutingHook, knftables.RawPriority,
		knftables.Concat("iifname", r.cfg.Bridge, "ip daddr 127.0.0.0/8 drop"),
		knftables.Concat("iifname", r.cfg.Bridge, "ip saddr 127.0.0.0/8 drop"))
	chain("lookup", "", "", "",
		"ip daddr . meta l4proto . th dport @"+ownAddresses+" return",
		"meta l4proto . th dport @"+ownPorts+" return",
		"dnat ip to ip daddr . meta l4proto . th dport map @"+addressMap,
		"dnat ip to meta l4proto . th dport map @"+portMap)
	chain("prerouting", knftables.NATType, knftables.PreroutingHook, knftables.DNATPriority,
		"ip daddr != 127.0.0.0/8 fib daddr type local jump lookup")
	chain("output", knftables.NATType, knftables.OutputHook, knftables.DNATPriority,
		"meta nfproto ipv4 fib daddr type local jump lookup")
	chain("postrouting", knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority,
		knftables.Concat("oifname", r.cfg.Bridge, "ip saddr 127.0.0.0/8 masquerade"),
		knftables.Concat("oifname", r.cfg.Bridge, "ip saddr", r.cfg.Subnet, "ct status dnat ct original ip daddr !=", r.cfg.Services, "masquerade"))
}

// Intact tells whether the table is as it was last written. Where no port leads anywhere
// nothing is run.
func (r *Router) Intact(ctx context.Context) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.table.Written() {
		return true, nil
	}
	intact, err := r.table.Intact(ctx)
	if err != nil {
		return false, fmt.Errorf("looking after nftables table inet %s: %w", r.cfg.Table, err)
	}
	return intact, nil
}
