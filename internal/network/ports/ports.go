package ports

import (
	"context"
	"fmt"
	"sync"

	"sigs.k8s.io/knftables"

	"laterna.dev/laterna/internal/host/rtnl"
	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/nftables"
)

// Config says whose ports are bound. All fields are required.
type Config struct {
	// Table names the nftables table (datadir.Dir.HostName).
	Table string
	// Bridge is the link that the ports are of. It need not be there yet.
	Bridge string
	// Ports returns the ports that there are now. Of one without a valid address nothing is
	// let through.
	Ports func() ([]bridge.Port, error)
	// Route returns the hardware address to which packets between pods are sent, so that
	// they take the way through this machine; "" where they need not.
	Route func() string
}

// Guard owns the table. It may be used concurrently.
type Guard struct {
	cfg Config

	mu    sync.Mutex
	table nftables.Kept
}

// New checks that nft is there. It runs nothing.
func New(cfg Config) (*Guard, error) {
	if err := nftables.Check(); err != nil {
		return nil, fmt.Errorf("binding pods to their addresses: %w", err)
	}
	return &Guard{cfg: cfg, table: nftables.Kept{Family: nftables.Bridge, Name: cfg.Table, Rules: addTable}}, nil
}

const (
	linkSet    = "links"
	addressSet = "addresses"
	routeMap   = "route"
)

// elements are those of the sets for the ports, and of the map for the way between pods, by a
// text that nft lists them as.
func elements(all []bridge.Port, route string) map[string]*knftables.Element {
	want := map[string]*knftables.Element{}
	for _, p := range all {
		want[p.Link] = &knftables.Element{Set: linkSet, Key: []string{quoted(p.Link)}}
		if route != "" {
			want[p.Link+" : "+route] = &knftables.Element{Map: routeMap, Key: []string{quoted(p.Link)}, Value: []string{route}}
		}
		if p.Addr.IsValid() {
			key := []string{quoted(p.Link), p.MAC, p.Addr.String()}
			want[p.Link+" . "+p.MAC+" . "+p.Addr.String()] = &knftables.Element{Set: addressSet, Key: key}
		}
	}
	return want
}

func quoted(s string) string { return `"` + s + `"` }

// Follow binds the ports that are there now, and forgets those that are gone. Every port
// that is connected before the call is bound when it returns. The table is made where
// there was none.
func (g *Guard) Follow(ctx context.Context) error { return g.write(ctx, false) }

// Sync writes the whole table anew, whatever is there.
func (g *Guard) Sync(ctx context.Context) error { return g.write(ctx, true) }

func (g *Guard) write(ctx context.Context, anew bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	all, err := g.cfg.Ports()
	if err == nil {
		err = rtnl.SetNoLinkLocalLearning(g.cfg.Bridge)
	}
	if err == nil {
		err = g.table.Set(ctx, elements(all, g.cfg.Route()), anew)
	}
	if err != nil {
		return fmt.Errorf("binding pods to their addresses: %w", err)
	}
	return nil
}

// addTable makes the table without elements.
func addTable(tx *knftables.Transaction) {
	tx.Add(&knftables.Table{Comment: knftables.PtrTo("laterna: what pods may send")})
	tx.Add(&knftables.Set{Name: linkSet, Type: "ifname"})
	tx.Add(&knftables.Set{Name: addressSet, Type: "ifname . ether_addr . ipv4_addr"})
	tx.Add(&knftables.Map{Name: routeMap, Type: "ifname : ether_addr"})
	tx.Add(&knftables.Chain{Name: "own"})
	for _, rule := range []string{
		"ether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4 " +
			"iifname . ether saddr . arp saddr ip @" + addressSet + " iifname . arp saddr ether . arp saddr ip @" + addressSet + " accept",
		"ether type ip iifname . ether saddr . ip saddr @" + addressSet + " accept",
		"drop",
	} {
		tx.Add(&knftables.Rule{Chain: "own", Rule: rule})
	}
	// Frames to the addresses of bridge protocols (01:80:c2:00:00:0X) pass the input hook
	// only.
	for _, hook := range []knftables.BaseChainHook{knftables.PreroutingHook, knftables.InputHook} {
		tx.Add(&knftables.Chain{
			Name: string(hook), Type: knftables.PtrTo(knftables.FilterType), Hook: &hook,
			Priority: knftables.PtrTo(knftables.BaseChainPriority("-300")),
		})
		if hook == knftables.PreroutingHook {
			// As the pod sent it: behind this hook an answer to the machine's 127.0.0.1 may
			// have its address back already (bridge-nf-call-iptables).
			tx.Add(&knftables.Rule{Chain: string(hook), Rule: "iifname @" + linkSet + " ether type ip ip daddr 127.0.0.0/8 drop"})
		}
		tx.Add(&knftables.Rule{Chain: string(hook), Rule: "iifname @" + linkSet + " jump own"})
	}
	// Behind those: a chain that accepts ends there.
	tx.Add(&knftables.Chain{
		Name: "between", Type: knftables.PtrTo(knftables.FilterType), Hook: knftables.PtrTo(knftables.PreroutingHook),
		Priority: knftables.PtrTo(knftables.BaseChainPriority("-250")),
	})
	tx.Add(&knftables.Rule{Chain: "between", Rule: "ether type ip ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00 " +
		"ether daddr set iifname map @" + routeMap + " meta pkttype set host"})
}

// Intact tells whether the table is as it was last written. Somebody else may have
// removed or flushed it, or taken out a rule or an element.
func (g *Guard) Intact(ctx context.Context) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	intact, err := g.table.Intact(ctx)
	if err != nil {
		return false, fmt.Errorf("looking after nftables table bridge %s: %w", g.cfg.Table, err)
	}
	return intact, nil
}
