package app

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/services"
)

// routeRetry is the pause before rules that could not be written are tried again.
const routeRetry = time.Second

// routeCheck is how often it is looked whether the rules are still there.
const routeCheck = 30 * time.Second

// podNetwork is the network of pods as the rest of the process sees it: it gives
// pods the API at the service address, over a listener on the gateway's address.
type podNetwork struct {
	system *system
	bridge bridge.Network
	router *services.Router
	// listen is where programs of the machine reach the API.
	listen netip.AddrPort
	// service is the address of the kubernetes service.
	service netip.Addr
}

// setUpNetwork chooses the subnet; links and rules come later.
func setUpNetwork(s *system) (*podNetwork, error) {
	network, err := bridge.Setup(s.dir, netip.MustParsePrefix(s.config.Network.ClusterCIDR))
	if err != nil {
		return nil, err
	}
	router, err := services.New(services.Config{
		Table:  s.dir.HostName(),
		Bridge: network.Bridge,
		Subnet: network.Subnet,
		Range:  s.serviceRange(),
		Log:    s.log,
	})
	if err != nil {
		return nil, err
	}
	return &podNetwork{system: s, bridge: network, router: router}, nil
}

// run serves the API on the gateway and writes the rules, then waits for ctx.
func (p *podNetwork) run(ctx context.Context) error {
	gateway := netip.AddrPortFrom(p.bridge.Gateway, p.listen.Port())
	// A server that listens on all addresses listens on this one.
	if !p.listen.Addr().IsUnspecified() {
		l, err := bridge.FreebindListen(ctx, gateway.String())
		if err != nil {
			return err
		}
		if err := p.system.server.Serve(l); err != nil {
			return fmt.Errorf("serving the API to pods: %w", err)
		}
	}
	api := services.Service{
		Name:         "default/kubernetes:https",
		Address:      netip.AddrPortFrom(p.service, 443),
		Protocol:     services.TCP,
		Backends:     []netip.AddrPort{gateway},
		HostBackends: []netip.AddrPort{clientAddress(p.listen)},
	}
	if err := p.sync(ctx, api); err != nil {
		return nil // asked to stop
	}
	if d := bridge.ForwardDropped(ctx, p.bridge.Bridge); d != nil {
		p.system.log.Warn("pods cannot reach beyond this machine", "why", d.Reason, "fix", d.Fix)
	}
	p.repair(ctx, api)
	return nil
}

// sync writes the rules, again until it succeeds or ctx ends.
func (p *podNetwork) sync(ctx context.Context, api services.Service) error {
	for {
		err := p.router.Sync(ctx, []services.Service{api})
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		p.system.log.Warn("writing the rules of service addresses failed, trying again", "error", err)
		select {
		case <-p.system.wall.After(routeRetry):
		case <-ctx.Done():
		}
	}
}

// repair writes the rules again when somebody has removed them, as `nft flush
// ruleset` and restarts of firewalls do, until ctx ends.
func (p *podNetwork) repair(ctx context.Context, api services.Service) {
	ticker := p.system.wall.NewTicker(routeCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
		case <-ctx.Done():
			return
		}
		there, err := services.Exists(ctx, p.system.dir.HostName())
		if err != nil || there {
			continue
		}
		p.system.log.Warn("the rules of service addresses were removed by somebody else, writing them again")
		if p.sync(ctx, api) != nil {
			return
		}
	}
}
