package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/host/resolvconf"
	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/dns"
	"laterna.dev/laterna/internal/pki"
	"laterna.dev/laterna/internal/wait"
)

// DNS is how the DNS of a node is set up. All fields are required but Ready.
type DNS struct {
	// Program is the file of this program, which runs once more for it.
	Program string
	// Service is where pods ask, Domain that of the cluster.
	Service netip.Addr
	Domain  string
	// URL is where the API is reached, CA the bundle to verify it by, Client as whom it is
	// read.
	URL    string
	CA     []byte
	Client *pki.Pair
	// Network is that of the node's pods.
	Network bridge.Network
	// Ready tells whether the system has started, as far as it is this process's: what is
	// to begin with it does not wait for names.
	Ready func() error
	Wall  clock.Wall
	Log   *slog.Logger
}

// settings are what the server is to be told now.
func (c DNS) settings() (dns.Settings, error) {
	cert, key, err := c.Client.PEM()
	if err != nil {
		return dns.Settings{}, fmt.Errorf("reading the certificate of cluster DNS: %w", err)
	}
	return dns.Settings{
		Domain: c.Domain, URL: c.URL, CA: c.CA, Cert: cert, Key: key, Pods: c.Network.Subnet,
		Upstreams: resolvconf.Read("/").Upstreams(c.Service, c.Network.Gateway),
	}, nil
}

// readyPoll is how often it is asked whether the system has started.
const readyPoll = 25 * time.Millisecond

// Names runs the DNS of a node on sockets that were opened for it, as a component.
func Names(c DNS, sockets *dns.Sockets) component.Component {
	keeper := dns.New(dns.Config{Program: c.Program, Sockets: sockets, Settings: c.settings, Clock: c.Wall, Log: c.Log})
	return component.Run("cluster DNS", func(ctx context.Context) error {
		for c.Ready != nil && c.Ready() != nil {
			if !wait.Pause(ctx, c.Wall, readyPoll) {
				return nil
			}
		}
		// Pods in the network of the machine ask, too, with no other pod there.
		if err := c.Network.Make(); err != nil {
			c.Log.Warn("programs of this machine cannot resolve names of the cluster before the first pod", "error", err)
		}
		return keeper.Run(ctx)
	})
}
