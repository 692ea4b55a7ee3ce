package up

import (
	"context"
	"net"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/app/agent"
	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/app/identity"
	"laterna.dev/laterna/internal/app/server"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/controller/manager"
	"laterna.dev/laterna/internal/datadir"
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
		As: api.ControllerConfig, Keys: keys, Tokens: server.ControllerTokens(c.Tokens), CA: id.Authority.PEM(), Sign: id.Authority.Sign, Ready: ready, ClusterDNS: c.Network.DNS(),
		Clock: p.clocks.system, Wall: p.clocks.wall, Stored: api.Stored, Settled: p.clocks.settle(), Log: p.log,
	})
	first := append(store.Components(), api)
	second := []component.Component{controllers, component.Run("certificates", id.Renewer(dir.Kubeconfig(), names.URL(), p.clocks.wall, p.log).Run)}
	var node *agent.Node
	if c.Node.Enabled {
		var runtime managed.Runtime
		resolver, why := buildDNS(ctx, c.Network, dir, p, names, id, network, ready, group)
		runtime, node, err = buildNode(ctx, c, providers, dir, p, names, id, network, resolver, why, group)
		if err != nil {
			return err
		}
		first, second = append(first, runtime), append(second, node)
		if resolver != nil {
			second = append(second, resolver)
		}
	}
	routed, err := buildRouted(ctx, c.PodIdentity, names, id, network, api, group)
	if err != nil {
		return err
	}
	second = append(second, routed...)
	second = append(second, diskKeeper(c, dir, p, node))
	group.Add(first...)
	group.Add(second...)
	return nil
}

// buildRouted makes the network of pods, and what of the API it leads them to; none of it
// where pods have no network of ours.
func buildRouted(ctx context.Context, c config.PodIdentity, names identity.Names, id *identity.Identity, network *plane.Plane, api *apiserver.Server, group *component.Group) ([]component.Component, error) {
	if network == nil {
		return nil, nil
	}
	also, all, err := podAgent(ctx, c, network, api, group)
	if err != nil {
		return nil, err
	}
	return append(all, agent.Routed(network, plane.API{Service: names.ServiceIP, Listen: names.Listen, Host: names.Routed(), Serve: api.Serve, Also: also},
		agent.Follows{Node: names.NodeName, URL: names.URL(), CA: id.Authority.PEM(), Client: id.Services})), nil
}

// buildDNS makes the DNS of the node, nil where it has none: where the network of pods is
// not ours, services have no room for it, or there is no program to run for it. Nothing else
// fails with it: pods are given the machine's resolver, and the error is told.
func buildDNS(ctx context.Context, c config.Network, dir datadir.Dir, p process, names identity.Names, id *identity.Identity, network *plane.Plane, ready *manager.Readiness, group *component.Group) (*agent.DNS, error) {
	if network == nil || !c.DNS().IsValid() || p.program == "" {
		return nil, nil
	}
	d, err := agent.NewDNS(ctx, agent.DNSConfig{
		Program: p.program, Of: dir.Path, Service: c.DNS(), Domain: names.ClusterDomain, URL: names.URL(), CA: id.Authority.PEM(), Client: id.DNS,
		Network: network.Network(), Ready: ready.All, Wall: p.clocks.wall, Log: p.log,
	})
	if err != nil {
		p.log.Error("pods cannot resolve names of the cluster: its DNS does not run, everything else does; mend that and start again", "error", err)
		return nil, err
	}
	group.Opened("sockets of cluster DNS", d.Close)
	return d, nil
}

// buildNode makes the runtime, and the agent that works with it.
func buildNode(ctx context.Context, c config.Config, providers credentialprovider.Settings, dir datadir.Dir, p process, names identity.Names, id *identity.Identity, network *plane.Plane, resolver *agent.DNS, noDNS error, group *component.Group) (managed.Runtime, *agent.Node, error) {
	runtime, err := agent.Runtime(c.Node, dir, p.clocks.wall, p.log)
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
		Runtime:     runtime, Images: c.Node.Images, Providers: providers, PodMaxPids: c.Node.PodMaxPids, Eviction: c.Node.Eviction(), Listener: listener, Dir: dir, Version: p.version.Info().GitVersion,
		Clock: p.clocks.agent, Wall: p.clocks.wall, Log: p.log,
	}
	if network != nil {
		network.Reserve(listener)
		cfg.Network = network
	}
	cfg.DNSError = noDNS
	if resolver != nil {
		cfg.ClusterDNS, cfg.DNSAt = c.Network.DNS(), resolver.At()
	}
	return runtime, agent.New(cfg), nil
}

// closing stops a listener.
func closing(l net.Listener) func(context.Context) error {
	return func(context.Context) error { return l.Close() }
}
