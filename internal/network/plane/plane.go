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

	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/healthcheck"
	"laterna.dev/laterna/internal/network/hostports"
	"laterna.dev/laterna/internal/network/nftables"
	"laterna.dev/laterna/internal/network/ports"
	"laterna.dev/laterna/internal/network/serviceapi"
	"laterna.dev/laterna/internal/network/services"
	"laterna.dev/laterna/internal/wait"
)

// afterStart is how long what the start does not need waits for it to be over.
const afterStart = time.Second

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
	// Also are led besides the kubernetes service. Optional.
	Also []services.Fixed
	// Client follows services and their endpoints as system:kube-proxy; Node is the node's
	// name.
	Client kubernetes.Interface
	Node   string
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
		Clock:  cfg.Clock,
		Log:    cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	reader := bridge.NewPortReader(cfg.Dir)
	guard, err := ports.New(ports.Config{Table: cfg.Dir.HostName(), Bridge: network.Bridge, Ports: reader.Ports, Route: network.Route})
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
			p.router.Reserve(at.Port())
		}
	}
}

// Listen listens at any port of the gateway, for pods that are led there; see API.Also. It is
// called before the first sandbox is connected.
func (p *Plane) Listen(ctx context.Context) (net.Listener, error) {
	l, err := bridge.FreebindListen(ctx, netip.AddrPortFrom(p.bridge.Gateway, 0).String())
	if err == nil {
		p.Reserve(l)
	}
	return l, err
}

// Gateway is the machine's address on the bridge, where pods find the API.
func (p *Plane) Gateway() netip.Addr { return p.bridge.Gateway }

// Network is how the network of the node's pods is laid out.
func (p *Plane) Network() bridge.Network { return p.bridge }

// Connected binds a sandbox that was just made to its addresses, and leads the ports of the
// machine to it that it asks for. Nothing of its pod may run before it returns. The notes
// are for whoever made the pod.
func (p *Plane) Connected(ctx context.Context, sandbox string) (notes []string, err error) {
	if err := p.reader.Check(sandbox); err != nil {
		return nil, err
	}
	if err := p.bridge.Translate(); err != nil {
		return nil, err
	}
	err = errors.Join(p.guard.Follow(ctx), p.lead.Follow(ctx))
	if nftables.Denied(err) {
		return nil, nil // Run says so, and the pod can do without
	}
	if err != nil {
		return nil, err
	}
	return p.lead.Notes(ctx, sandbox), nil
}

// Disconnected takes back the ports of sandboxes that were stopped.
func (p *Plane) Disconnected(ctx context.Context) error {
	if err := p.lead.Follow(ctx); !nftables.Denied(err) {
		return err
	}
	return nil // there are none
}

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
	fixed := append([]services.Fixed{{
		Address: netip.AddrPortFrom(api.Service, 443), Protocol: services.TCP, Backend: gateway, HostBackend: api.Host,
	}}, api.Also...)
	if p.persist(ctx, func(ctx context.Context) error { return p.router.Begin(ctx, fixed) }) != nil {
		return nil // asked to stop
	}
	changed := p.watch(ctx)
	// What need not be there before the system answers runs a dozen programs. The first pod
	// has its ports bound before it runs all the same.
	if !wait.Pause(ctx, p.cfg.Clock, afterStart) {
		return nil
	}
	var others sync.WaitGroup
	defer others.Wait()
	if err := p.bridge.Make(); err != nil {
		p.cfg.Log.Warn("the pod network is made with the first pod", "error", err)
	}
	others.Go(func() { p.follow(ctx, api) })
	if p.persist(ctx, p.ports) != nil {
		return nil
	}
	if d := bridge.ForwardDropped(ctx, p.bridge.Bridge); d != nil {
		p.cfg.Log.Warn("pods reach neither one another nor beyond this machine", "why", d.Reason, "fix", d.Fix)
	}
	p.tellSharing(ctx)
	others.Go(func() { p.repairLinks(ctx) })
	p.repair(ctx, changed)
	return nil
}

// ports writes what pods may send, and which ports of the machine lead to them.
func (p *Plane) ports(ctx context.Context) error {
	return errors.Join(p.guard.Sync(ctx), p.lead.Sync(ctx))
}

// follow has the network lead to the services of the API until ctx ends.
func (p *Plane) follow(ctx context.Context, api API) {
	health := healthcheck.New(p.cfg.Log)
	defer health.Close()
	serviceapi.New(serviceapi.Config{
		Client: api.Client, Node: api.Node, Router: p.router, Clock: p.cfg.Clock, Log: p.cfg.Log,
		Health: health.Set,
	}).Run(ctx)
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
