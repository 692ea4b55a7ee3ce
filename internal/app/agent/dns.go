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

// DNSConfig is how the DNS of a node is set up. All fields are required but Ready.
type DNSConfig struct {
	// Program is the file of this program, which runs once more for it.
	Program string
	// Of is the data directory.
	Of string
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

// DNS is the DNS of a node, as a component.
type DNS struct {
	*component.Func
	config  DNSConfig
	sockets *dns.Sockets
}

// NewDNS opens the sockets of a node's DNS, which Close closes.
func NewDNS(ctx context.Context, c DNSConfig) (*DNS, error) {
	sockets, err := dns.Open(ctx, c.Network.Gateway, c.Log)
	if err != nil {
		return nil, err
	}
	d := &DNS{config: c, sockets: sockets}
	d.Func = component.Run("cluster DNS", d.run)
	return d, nil
}

// At is where it listens.
func (d *DNS) At() netip.AddrPort { return d.sockets.Addr() }

// Close closes the sockets.
func (d *DNS) Close(context.Context) error { return d.sockets.Close() }

// readyPoll is how often it is asked whether the system has started.
const readyPoll = 25 * time.Millisecond

func (d *DNS) run(ctx context.Context) error {
	c := d.config
	for c.Ready != nil && c.Ready() != nil {
		if !wait.Pause(ctx, c.Wall, readyPoll) {
			return nil
		}
	}
	// Pods in the network of the machine ask, too, with no other pod there.
	if err := c.Network.Make(); err != nil {
		c.Log.Warn("programs of this machine cannot resolve names of the cluster before the first pod", "error", err)
	}
	return dns.New(dns.Config{Program: c.Program, Of: c.Of, Sockets: d.sockets, Settings: c.settings, Clock: c.Wall, Log: c.Log}).Run(ctx)
}

// settings are what the server is to be told now.
func (c DNSConfig) settings() (dns.Settings, error) {
	cert, key, err := c.Client.PEM()
	if err != nil {
		return dns.Settings{}, fmt.Errorf("reading the certificate of cluster DNS: %w", err)
	}
	return dns.Settings{
		Domain: c.Domain, URL: c.URL, CA: c.CA, Cert: cert, Key: key, Pods: c.Network.Subnet,
		Upstreams: resolvconf.Read("/").Upstreams(c.Service, c.Network.Gateway),
	}, nil
}
