// Package plane programs the network of a node for the pods on it, and repairs what
// somebody else has removed: pods reach the API at the kubernetes service's address,
// over a listener on the gateway's address, and send only in their own name; ports of the
// machine lead to those that ask for it.
//
// It owns what is routed and bound, and when. The bridge and the subnet live in
// network/bridge, the rules themselves in network/services, network/ports and network/hostports.
package plane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/netlink"
	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/hostports"
	"laterna.dev/laterna/internal/network/ports"
	"laterna.dev/laterna/internal/network/services"
	"laterna.dev/laterna/internal/wait"
)

const (
	// retry is the pause before rules that could not be written are tried again.
	retry = time.Second
	// check is how often it is looked whether the rules are still there, whether or not
	// the kernel tells of changes.
	check = 30 * time.Second
	// settle is how long after a change it is looked: others change in several steps.
	settle = time.Second
	// afterStart is how long what the start does not need waits for it to be over.
	afterStart = time.Second
)

// Config of a Plane. All fields are required.
type Config struct {
	Dir datadir.Dir
	// Pods is the network that the node's subnet is chosen from, Services the range of
	// service addresses.
	Pods, Services netip.Prefix
	// Clock is wall time.
	Clock clock.Wall
	Log   *slog.Logger
}

// API is how pods and programs of the machine reach the API.
type API struct {
	// Service is the address of the kubernetes service.
	Service netip.Addr
	// Listen is where the server listens, Host where programs of the machine reach it in
	// IPv4.
	Listen, Host netip.AddrPort
	// Serve has the server listen at one more place.
	Serve func(net.Listener) error
}

// Plane is the network of one node.
type Plane struct {
	cfg    Config
	bridge bridge.Network
	router *services.Router
	reader *bridge.PortReader
	guard  *ports.Guard
	lead   *hostports.Router
}

// New chooses the subnet; links and rules come with Run.
func New(cfg Config) (*Plane, error) {
	network, err := bridge.Setup(cfg.Dir, cfg.Pods)
	if err != nil {
		return nil, err
	}
	router, err := services.New(services.Config{
		Table:  cfg.Dir.HostName(),
		Bridge: network.Bridge,
		Subnet: network.Subnet,
		Range:  cfg.Services,
		Log:    cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	reader := bridge.NewPortReader(cfg.Dir)
	guard, err := ports.New(ports.Config{Table: cfg.Dir.HostName(), Bridge: network.Bridge, Ports: reader.Ports})
	if err != nil {
		return nil, err
	}
	lead := hostports.New(hostports.Config{
		Table: cfg.Dir.HostName(), Bridge: network.Bridge, Subnet: network.Subnet, Services: cfg.Services,
		Published: reader.Published, Mark: filepath.Join(cfg.Dir.RunDir, "hostports"), Log: cfg.Log,
	})
	return &Plane{cfg: cfg, bridge: network, router: router, reader: reader, guard: guard, lead: lead}, nil
}

// Reserve keeps what a system listens at, by TCP, from being led to pods. It is called
// before the first sandbox is connected.
func (p *Plane) Reserve(listeners ...net.Listener) {
	for _, l := range listeners {
		if at, err := netip.ParseAddrPort(l.Addr().String()); err == nil {
			p.lead.Reserve(at, netip.AddrPortFrom(p.bridge.Gateway, at.Port()))
		}
	}
}

// Gateway is the machine's address on the bridge, where pods find the API.
func (p *Plane) Gateway() netip.Addr { return p.bridge.Gateway }

// Connected binds a sandbox that was just made to its addresses, and leads the ports of the
// machine to it that it asks for. Nothing of its pod may run before it returns. The notes
// are for whoever made the pod.
func (p *Plane) Connected(ctx context.Context, sandbox string) (notes []string, err error) {
	if err := p.reader.Check(sandbox); err != nil {
		return nil, err
	}
	if err := errors.Join(p.guard.Follow(ctx), p.lead.Follow(ctx)); err != nil {
		return nil, err
	}
	return p.lead.Notes(ctx, sandbox), nil
}

// Disconnected takes back the ports of sandboxes that were stopped.
func (p *Plane) Disconnected(ctx context.Context) error { return p.lead.Follow(ctx) }

// Run serves the API on the gateway, writes the rules and keeps them until ctx ends.
func (p *Plane) Run(ctx context.Context, api API) error {
	gateway := netip.AddrPortFrom(p.bridge.Gateway, api.Listen.Port())
	// A server that listens on all addresses listens on this one.
	if !api.Listen.Addr().IsUnspecified() {
		l, err := bridge.FreebindListen(ctx, gateway.String())
		if err != nil {
			return err
		}
		if err := api.Serve(l); err != nil {
			return fmt.Errorf("serving the API to pods: %w", err)
		}
	}
	routed := services.Service{
		Name:         "default/kubernetes:https",
		Address:      netip.AddrPortFrom(api.Service, 443),
		Protocol:     services.TCP,
		Backends:     []netip.AddrPort{gateway},
		HostBackends: []netip.AddrPort{api.Host},
	}
	route := func(ctx context.Context) error { return p.router.Sync(ctx, []services.Service{routed}) }
	if err := p.persist(ctx, route); err != nil {
		return nil // asked to stop
	}
	changed := p.watch(ctx)
	// What need not be there before the system answers runs a dozen programs. The first pod
	// has its ports bound before it runs all the same.
	if !wait.Pause(ctx, p.cfg.Clock, afterStart) {
		return nil
	}
	ports := func(ctx context.Context) error { return errors.Join(p.guard.Sync(ctx), p.lead.Sync(ctx)) }
	if err := p.persist(ctx, ports); err != nil {
		return nil
	}
	if d := bridge.ForwardDropped(ctx, p.bridge.Bridge); d != nil {
		p.cfg.Log.Warn("pods cannot reach beyond this machine", "why", d.Reason, "fix", d.Fix)
	}
	p.tellSharing(ctx)
	p.repair(ctx, changed, func(ctx context.Context) error { return errors.Join(route(ctx), ports(ctx)) })
	return nil
}

// persist writes rules, again until it succeeds or ctx ends.
func (p *Plane) persist(ctx context.Context, write func(context.Context) error) error {
	for {
		err := write(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		p.cfg.Log.Warn("writing the rules of the pod network failed, trying again", "error", err)
		wait.Pause(ctx, p.cfg.Clock, retry)
	}
}

// changes tell that rules or links of the machine have changed.
type changes struct{ rules, links <-chan struct{} }

// watch listens for changes until ctx ends.
func (p *Plane) watch(ctx context.Context) (c changes) {
	var err, linkErr error
	c.rules, err = netlink.RuleChanges(ctx)
	c.links, linkErr = netlink.LinkChanges(ctx)
	if err := errors.Join(err, linkErr); err != nil {
		p.cfg.Log.Warn("removed rules of the pod network are written again only after a while", "error", err, "seconds", check.Seconds())
	}
	return c
}

// repair writes the rules again when somebody has removed them, as `nft flush
// ruleset`, `nft flush table` and restarts of firewalls do, and takes out those of ports
// that are gone, until ctx ends. The bridge of the pods is repaired likewise.
func (p *Plane) repair(ctx context.Context, changed changes, write func(context.Context) error) {
	var bridge sync.WaitGroup
	bridge.Go(func() { p.repairLinks(ctx) })
	defer bridge.Wait()
	ticker := p.cfg.Clock.NewTicker(check)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
		case <-changed.rules:
		case <-changed.links:
		case <-ctx.Done():
			return
		}
		if !wait.Pause(ctx, p.cfg.Clock, settle) {
			return
		}
		if p.intact(ctx) {
			continue
		}
		p.cfg.Log.Warn("rules of the pod network were removed or changed by somebody else, writing them again")
		if p.persist(ctx, write) != nil {
			return
		}
	}
}

// intact tells whether the rules are those that were written. What cannot be looked at
// counts as intact: it is looked at again.
func (p *Plane) intact(ctx context.Context) bool {
	routes, err := p.router.Intact(ctx)
	if err == nil && !routes {
		return false
	}
	bound, err := p.guard.Intact(ctx)
	if err == nil && !bound {
		return false
	}
	leads, err := p.lead.Intact(ctx)
	if err == nil && !leads {
		return false
	}
	if err := errors.Join(p.guard.Follow(ctx), p.lead.Follow(ctx)); err != nil && ctx.Err() == nil {
		p.cfg.Log.Warn("the rules of pods that are gone were not removed, trying again", "error", err)
	}
	return true
}

// tellSharing warns of other systems of this machine that have the same addresses.
func (p *Plane) tellSharing(ctx context.Context) {
	sharing, err := services.Sharing(ctx, p.cfg.Dir.HostName(), p.cfg.Services)
	if err != nil {
		p.cfg.Log.Debug("other systems of the machine are not known", "error", err)
	}
	if len(sharing) > 0 {
		p.cfg.Log.Warn("another system on this machine has the same service addresses: programs of the machine and pods with hostNetwork may reach its API instead of this one's; choose another --service-cluster-ip-range",
			"range", p.cfg.Services, "tables", sharing)
	}
}
