package up

import (
	"context"
	"net"

	"laterna.dev/laterna/internal/app/agent"
	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/app/identity"
	"laterna.dev/laterna/internal/app/server"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/controller/manager"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/network/dns"
	"laterna.dev/laterna/internal/network/plane"
	"laterna.dev/laterna/internal/node/credentialprovider"
	"laterna.dev/laterna/internal/runtime/managed"
)

// build makes the parts of the system, each of what was made before it, and puts them into
// group in the order of their start: store, API and runtime at once, then what works with
// the API. It opens the listeners, so that a taken port is told before anything starts, and
// then the store: nothing that a running system has is written before the store is this
// process's.
func build(ctx context.Context, c config.Config, dir datadir.Dir, p process, group *component.Group) error {
	listeners, err := server.Listen(ctx, c.Serving.Listen, agent.Routes(c.Node))
	if err != nil {
		return err
	}
	for _, l := range listeners {
		group.Opened("listener of the API", closing(l))
	}
	names, err := identity.NamesOf(listeners[0].Addr(), c.Node, c.Network, dir, p.log)
	if err != nil {
		return err
	}
	store := server.NewStore(c.Store, dir, p.clocks.wall, p.log)
	group.Opened("store", store.Stop)
	if err := store.Open(ctx); err != nil {
		return err
	}
	if c.Network, err = withServices(ctx, c, dir, p.log); err != nil {
		return err
	}
	names.Serve(c.Network.Services())
	network, err := agent.Network(c.Node, c.Network, dir, p.clocks.wall, p.log)
	if err != nil {
		return err
	}
	if network != nil {
		names.Gateway = network.Gateway()
		network.Reserve(listeners...)
	}
	id, err := identity.Open(dir, names, c.Node.Enabled, p.clocks.wall)
	if err != nil {
		return err
	}
	if err := id.WriteKubeconfig(dir.Kubeconfig(), names.URL()); err != nil {
		return err
	}
	keys, err := server.Keys(c.Tokens, p.clocks.system, p.clocks.settled, p.log)
	if err != nil {
		return err
	}
	providers, err := c.Node.Images.Providers()
	if err != nil {
		return err
	}
	ready := manager.NewReadiness(c.TestClock)
	api := server.API(c, dir, server.Parts{
		Store: store, Keys: keys, Names: names, Identity: id, Listeners: listeners, Ready: ready, TokenAudiences: providers.Audiences(),
		Stdout: p.stdout, Version: p.version, Clock: p.clocks.system, Wall: p.clocks.wall, Log: p.log,
	})
	controllers := manager.New(manager.Config{
		As: api.ControllerConfig, Keys: keys, Tokens: server.ControllerTokens(c.Tokens), CA: id.Authority.PEM(), Ready: ready, ClusterDNS: names.DNSIP,
		Clock: p.clocks.system, Wall: p.clocks.wall, Settled: p.clocks.settle(), Log: p.log,
	})
	first := append(store.Components(), api)
	second := []component.Component{controllers, component.Run("certificates", id.Renewer(dir.Kubeconfig(), names.URL(), p.clocks.wall, p.log).Run)}
	var node *agent.Node
	if c.Node.Enabled {
		var runtime managed.Runtime
		sockets, err := openDNS(ctx, p, names, network, group)
		if err != nil {
			return err
		}
		runtime, node, err = buildNode(ctx, c.Node, providers, dir, p, names, id, network, sockets, group)
		if err != nil {
			return err
		}
		first, second = append(first, runtime), append(second, node)
		if sockets != nil {
			second = append(second, agent.Names(agent.DNS{
				Program: p.program, Service: names.DNSIP, Domain: names.ClusterDomain, URL: names.URL(), CA: id.Authority.PEM(), Client: id.DNS,
				Network: network.Network(), Ready: ready.All, Wall: p.clocks.wall, Log: p.log,
			}, sockets))
		}
	}
	if network != nil {
		second = append(second, agent.Routed(network, plane.API{Service: names.ServiceIP, Listen: names.Listen, Host: names.Routed(), Serve: api.Serve},
			agent.Follows{Node: names.NodeName, URL: names.URL(), CA: id.Authority.PEM(), Client: id.Services}))
	}
	second = append(second, diskKeeper(c, dir, p, node))
	group.Add(first...)
	group.Add(second...)
	return nil
}

// openDNS opens the sockets of the node's DNS, nil where it has none: where the network of
// pods is not ours, services have no room for it, or there is no program to run for it.
func openDNS(ctx context.Context, p process, names identity.Names, network *plane.Plane, group *component.Group) (*dns.Sockets, error) {
	if network == nil || !names.DNSIP.IsValid() || p.program == "" {
		return nil, nil
	}
	sockets, err := dns.Open(ctx, network.Gateway(), p.log)
	if err != nil {
		return nil, err
	}
	group.Opened("sockets of cluster DNS", func(context.Context) error { return sockets.Close() })
	return sockets, nil
}

// buildNode makes the runtime, and the agent that works with it.
func buildNode(ctx context.Context, c config.Node, providers credentialprovider.Settings, dir datadir.Dir, p process, names identity.Names, id *identity.Identity, network *plane.Plane, sockets *dns.Sockets, group *component.Group) (managed.Runtime, *agent.Node, error) {
	runtime, err := agent.Runtime(c, dir, p.clocks.wall, p.log)
	if err != nil {
		return nil, nil, err
	}
	listener, err := agent.Listen(ctx, names.NodeIP, dir, p.log)
	if err != nil {
		return nil, nil, err
	}
	group.Opened("listener of the node", closing(listener))
	cfg := agent.Config{
		Name: names.NodeName, IP: names.NodeIP, ClusterDomain: names.ClusterDomain, URL: names.URL(),
		Credentials: agent.Credentials{CA: id.Authority.PEM(), ClientCAs: id.Authority.Pool(), Client: id.Node, Serving: id.NodeServer},
		Runtime:     runtime, Images: c.Images, Providers: providers, PodMaxPids: c.PodMaxPids, Eviction: c.Eviction(), Listener: listener, Dir: dir, Version: p.version.Info().GitVersion,
		Clock: p.clocks.agent, Wall: p.clocks.wall, Log: p.log,
	}
	if network != nil {
		network.Reserve(listener)
		cfg.Network = network
	}
	if sockets != nil {
		cfg.ClusterDNS, cfg.DNSAt = names.DNSIP, sockets.Addr()
	}
	return runtime, agent.New(cfg), nil
}

// closing stops a listener.
func closing(l net.Listener) func(context.Context) error {
	return func(context.Context) error { return l.Close() }
}
