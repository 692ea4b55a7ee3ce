package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"

	// The plugins of the Corefile register themselves.
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/loadbalance"

	ours "laterna.dev/laterna/internal/network/dns"
)

const (
	// serverType is CoreDNS's, in the terms of its library for configuration.
	serverType = "dns"
	// handOver is the directive behind all others.
	handOver = "hand_over"
)

// errHandedOver ends the library's start once every plugin is set up and started: now it
// would open listeners.
var errHandedOver = errors.New("handed over")

// register makes handOver known, once in a process.
var register = sync.OnceFunc(func() {
	plugin.Register(handOver, func(c *caddy.Controller) error {
		c.Set(handOver, dnsserver.GetConfig(c))
		c.OnStartup(func() error { return errHandedOver })
		return nil
	})
})

// server is CoreDNS, on listeners that it is given.
type server struct {
	*dnsserver.Server
	names names
	rest  *caddy.Instance
}

// newServer sets up everything that needs rights of its own, and starts nothing that asks
// the API.
func newServer(ctx context.Context, s ours.Settings) (*server, error) {
	register()
	if err := dnsserver.SetDirectives(directives); err != nil {
		return nil, fmt.Errorf("setting up cluster DNS: %w", err)
	}
	instance, err := caddy.Start(caddy.CaddyfileInput{
		Filepath: "Corefile", Contents: []byte(corefile(s.Domain, s.Upstreams)), ServerTypeName: serverType,
	})
	if !errors.Is(err, errHandedOver) {
		return nil, fmt.Errorf("setting up cluster DNS: %w", err)
	}
	config, ok := instance.Storage[handOver].(*dnsserver.Config)
	if !ok {
		return nil, errors.New("setting up cluster DNS: CoreDNS has not read its configuration")
	}
	n, err := newNames(ctx, s)
	if err != nil {
		return nil, err
	}
	config.Plugin = chain(config.Plugin, n, s)
	dns, err := dnsserver.NewServer("dns://"+s.Pods.String(), []*dnsserver.Config{config})
	if err != nil {
		return nil, fmt.Errorf("setting up cluster DNS: %w", err)
	}
	return &server{dns, n, instance}, nil
}

// chain puts our plugins between those of the Corefile.
func chain(of []plugin.Plugin, n names, s ours.Settings) []plugin.Plugin {
	all := []plugin.Plugin{func(next plugin.Handler) plugin.Handler {
		return guests{next, s.Pods, net.InterfaceAddrs}
	}}
	forward := len(of)
	if len(s.Upstreams) > 0 {
		forward-- // it is the last of the Corefile
	}
	all = append(all, of[:forward]...)
	all = append(all, func(next plugin.Handler) plugin.Handler {
		n.Next = next
		return n
	})
	all = append(all, of[forward:]...)
	return append(all, func(plugin.Handler) plugin.Handler { return nowhere{} })
}

// serve answers until a listener fails.
func (s *server) serve(tcp net.Listener, udp net.PacketConn) error {
	failed := make(chan error, 2)
	go func() { failed <- s.Serve(tcp) }()
	go func() { failed <- s.ServePacket(udp) }()
	return <-failed
}

// close ends what the plugins have begun.
func (s *server) close() error {
	errs := append(s.rest.ShutdownCallbacks(), s.names.stop())
	return errors.Join(errs...)
}
