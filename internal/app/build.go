package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/etcd"
	"laterna.dev/laterna/internal/network/plane"
	"laterna.dev/laterna/internal/pki"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/core/service"
)

// build makes the components of the system and the order of their start. It opens the
// listener, so that a taken port is told before anything starts, and then the store:
// nothing that a running system has is written before the store is this process's.
func (s *system) build(ctx context.Context) error {
	s.group.Log = s.log
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.Serving.Listen)
	if err != nil {
		return fmt.Errorf("listening for the API: %w (choose another address with --listen)", err)
	}
	n, err := s.names(listener)
	if err != nil {
		return err
	}
	first, await, err := s.store(ctx)
	if err != nil {
		return err
	}
	network, err := s.podNetwork(&n)
	if err != nil {
		return err
	}
	if s.identity, err = openIdentity(s.dir, n, s.config.Node.Enabled, s.wall); err != nil {
		return err
	}
	url := "https://" + clientAddress(n.listen).String()
	if err := s.writeKubeconfig(url); err != nil {
		return err
	}
	control := newControlPlane(s.controllers())
	s.server = apiserver.New(s.serverConfig(n, listener, await, control.ready))
	first = append(first, s.server)
	second := []component.Component{control.component(s.server), component.Run("certificates", s.renewer(url).Run)}
	if s.config.Node.Enabled {
		agent := s.node(n, url)
		if err := agent.open(ctx); err != nil {
			return err
		}
		first = append(first, agent.runtime)
		second = append(second, component.Run("node agent", agent.run))
	}
	if network != nil {
		second = append(second, s.routed(network, n))
	}
	s.group.Add(first...)
	s.group.Add(second...)
	return nil
}

// controllers is what the controllers are made of.
func (s *system) controllers() controllersConfig {
	return controllersConfig{
		tokens: s.config.Tokens, ca: s.identity.authority.PEM(), clock: s.clock, wall: s.wall, settled: s.clockSettled, log: s.log,
	}
}

// node is the node agent, which is not open yet.
func (s *system) node(n names, url string) *nodePlane {
	return &nodePlane{
		config: s.config.Node, names: n, url: url, identity: s.identity, dir: s.dir, version: s.version.Info().GitVersion,
		clock: s.agentClock, wall: s.wall, log: s.log,
	}
}

// podNetwork chooses the network of the managed runtime and puts its gateway into
// n. It returns nil where no such network is needed.
func (s *system) podNetwork(n *names) (*plane.Plane, error) {
	switch {
	case !s.config.Node.Enabled:
		return nil, nil
	case s.config.Node.CRIEndpoint != "":
		s.log.Warn("another runtime brings its own pod network: pods reach the API only if that network leads to it, and service addresses are not routed")
		return nil, nil
	}
	network, err := plane.New(plane.Config{
		Dir:      s.dir,
		Pods:     netip.MustParsePrefix(s.config.Network.ClusterCIDR),
		Services: s.serviceRange(),
		Clock:    s.wall,
		Log:      s.log,
	})
	if err != nil {
		return nil, err
	}
	n.gateway = network.Gateway()
	return network, nil
}

// routed runs the network of pods with the way to the API.
func (s *system) routed(network *plane.Plane, n names) component.Component {
	api := plane.API{Service: n.serviceIP, Listen: n.listen, Host: clientAddress(n.listen), Serve: s.server.Serve}
	return component.Run("pod network", func(ctx context.Context) error { return network.Run(ctx, api) })
}

// names collects what certificates and advertised addresses are made of.
func (s *system) names(l net.Listener) (names, error) {
	n := names{clusterDomain: s.config.Network.ClusterDomain}
	var err error
	var renamed bool
	if n.nodeName, renamed, err = nodeName(s.config.Node.Name, s.dir); err != nil {
		return n, err
	}
	if renamed {
		s.log.Warn("the host has another name than before; the node keeps its name, and with it its pods (--node-name changes it)", "node", n.nodeName)
	}
	if n.nodeIP, err = nodeIP(s.config.Node.IP); err != nil {
		return n, err
	}
	if n.listen, err = netip.ParseAddrPort(l.Addr().String()); err != nil {
		return n, fmt.Errorf("reading the listener's address: %w", err)
	}
	n.serviceIP = service.First(s.serviceRange())
	return n, nil
}

// serviceRange is the configured range; Validate has checked it.
func (s *system) serviceRange() netip.Prefix {
	return netip.MustParsePrefix(s.config.Network.ServiceClusterIPRange)
}

// clientAddress is where clients on this machine reach a listener.
func clientAddress(listen netip.AddrPort) netip.AddrPort {
	if listen.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), listen.Port())
	}
	return listen
}

// advertised is where the service kubernetes leads: to the pods' gateway where there is
// one, else to the listener. A listener on all addresses names none, so the machine's
// stands for it.
func advertised(n names) netip.AddrPort {
	switch {
	case n.gateway.IsValid():
		return netip.AddrPortFrom(n.gateway, n.listen.Port())
	case n.listen.Addr().IsUnspecified():
		return netip.AddrPortFrom(n.nodeIP, n.listen.Port())
	}
	return n.listen
}

func (s *system) writeKubeconfig(url string) error {
	return pki.WriteKubeconfig(s.dir.Kubeconfig(), url, s.identity.authority, s.identity.admin)
}

// store opens the store and returns its components, and how the server finds it. One
// that runs elsewhere is not waited for here: it may come up later.
func (s *system) store(ctx context.Context) ([]component.Component, func(context.Context) (etcd.Endpoints, error), error) {
	c := s.config.Store
	if len(c.EtcdServers) > 0 {
		external := etcd.Endpoints{URLs: c.EtcdServers, CAFile: c.EtcdCAFile, CertFile: c.EtcdCertFile, KeyFile: c.EtcdKeyFile}
		return nil, external.Await, nil
	}
	s.embedded = etcd.New(etcd.Config{Dir: s.dir.Etcd(), SocketDir: s.dir.RunDir, Wall: s.wall, Log: s.log})
	return []component.Component{s.embedded}, s.embedded.Await, s.embedded.Open(ctx)
}

func (s *system) serverConfig(n names, l net.Listener, await func(context.Context) (etcd.Endpoints, error), ready []apiserver.ReadyCheck) apiserver.Config {
	return apiserver.Config{
		Kinds: registry.Kinds(),
		Store: apiserver.StoreConfig{
			Await:                    await,
			EncryptionKeyFile:        s.dir.EncryptionKey(),
			EncryptionProviderConfig: s.config.Store.EncryptionProviderConfig,
			EncryptionProviderReload: s.config.Store.EncryptionProviderReload,
		},
		Serving: apiserver.ServingConfig{
			Listeners:         []net.Listener{l},
			Advertise:         advertised(n),
			GetCertificate:    s.identity.server.GetCertificate,
			IssuerCertificate: s.identity.authority.Hosts().Certificate,
			ClientCAs:         s.identity.authority.Pool(),
			ReadyChecks:       ready,
		},
		Services: apiserver.ServicesConfig{Range: s.serviceRange()},
		Tokens:   s.tokens(),
		Kubelets: apiserver.KubeletsConfig{TLS: &tls.Config{
			MinVersion:           tls.VersionTLS12,
			RootCAs:              s.identity.authority.Pool(),
			GetClientCertificate: s.identity.kubelets.GetClientCertificate,
		}},
		Audit:   s.config.Audit.server(s.out),
		Version: s.version,
		Clock:   s.clock, Wall: s.wall, ClockSettled: s.clockSettled,
		Log: s.log,
	}
}

func (s *system) tokens() apiserver.TokensConfig {
	c := s.config.Tokens
	return apiserver.TokensConfig{
		Issuers:          c.Issuers,
		APIAudiences:     c.APIAudiences,
		JWKSURI:          c.JWKSURI,
		Algorithm:        boundtoken.Algorithm(c.SigningAlgorithm),
		MaxExpiration:    c.MaxExpiration.Duration,
		ExtendExpiration: c.ExtendExpiration,
		Legacy:           c.Legacy,
		PublicDiscovery:  s.config.Serving.PublicDiscovery,
	}
}

// renewer keeps the certificates valid and the kubeconfig up to date with them.
func (s *system) renewer(url string) *pki.Renewer {
	return &pki.Renewer{
		Pairs: s.identity.pairs,
		Clock: s.wall,
		Log:   s.log,
		Renewed: func(p *pki.Pair) error {
			if p != s.identity.admin {
				return nil
			}
			return s.writeKubeconfig(url)
		},
	}
}
