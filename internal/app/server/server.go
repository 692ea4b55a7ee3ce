package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/app/identity"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/manager"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/tokens/issuer"
	"laterna.dev/laterna/internal/tokens/keys"
)

// Listen opens the listeners of the API, so that a taken port is told before anything
// starts: the one at address first. Where services are routed and that is an IPv6 address,
// the same port of IPv4's loopback is next, since they are routed in IPv4. An API that is
// built with them closes them.
func Listen(ctx context.Context, address string, routed bool) ([]net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for the API: %w (choose another address with --listen)", err)
	}
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading the listener's address: %w", err), l.Close())
	}
	same := identity.Names{Listen: at}.Routed()
	if !routed || at.Addr().IsUnspecified() || same == at {
		return []net.Listener{l}, nil
	}
	second, err := new(net.ListenConfig).Listen(ctx, "tcp4", same.String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening for the API at %s, which is added to the IPv6 address %s since services are routed in IPv4: %w (choose another port with --listen)", same, at, err), l.Close())
	}
	return []net.Listener{l, second}, nil
}

// Keys returns the ring of keys that sign tokens; the API runs it on its store. No key takes
// a step before settled is closed; nil is closed from the start.
func Keys(c config.Tokens, clk clock.API, settled <-chan struct{}, log *slog.Logger) (*keys.Ring, error) {
	return keys.New(keys.Config{Algorithm: boundtoken.Algorithm(c.SigningAlgorithm), Clock: clk, Settled: settled, Log: log})
}

// Parts are what an API is built on. Every field is required.
type Parts struct {
	Store    *Store
	Keys     *keys.Ring
	Names    identity.Names
	Identity *identity.Identity
	// Listeners are those of Listen.
	Listeners []net.Listener
	// Ready is what /readyz asks of controllers.
	Ready *manager.Readiness
	// TokenAudiences are those that the credential providers of nodes want tokens for.
	TokenAudiences []string
	// Stdout is where an audit log at - goes.
	Stdout  io.Writer
	Version apiserver.Version
	// Clock is the system's, Wall real time.
	Clock clock.API
	Wall  clock.Wall
	Log   *slog.Logger
}

// API builds the API server.
func API(c config.Config, dir datadir.Dir, p Parts) *apiserver.Server {
	return apiserver.New(apiserver.Config{
		Kinds: registry.Kinds(),
		Store: apiserver.StoreConfig{
			Await:                    p.Store.Await,
			EncryptionKeyFile:        dir.EncryptionKey(),
			EncryptionProviderConfig: c.Store.EncryptionProviderConfig,
			EncryptionProviderReload: c.Store.EncryptionProviderReload,
		},
		Serving:  serving(c.Serving, p),
		Services: apiserver.ServicesConfig{Range: c.Network.Services()},
		Keys:     p.Keys,
		Tokens:   tokens(c.Tokens, c.Serving.PublicDiscovery),
		Kubelets: apiserver.KubeletsConfig{TLS: &tls.Config{
			MinVersion:           tls.VersionTLS12,
			RootCAs:              p.Identity.Authority.Pool(),
			GetClientCertificate: p.Identity.Kubelets.GetClientCertificate,
		}, TokenAudiences: p.TokenAudiences},
		AWS:         apiserver.AWSConfig{Authorities: p.Identity.Authority.Pool(), Faults: c.TestClock},
		PodSecurity: c.PodSecurity.Settings(),
		PodIdentity: c.PodIdentity.Settings(),
		Audit:       c.Audit.Log(p.Stdout),
		Version:     p.Version,
		Clock:       p.Clock,
		Wall:        p.Wall,
		Log:         p.Log,
	})
}

func serving(c config.Serving, p Parts) apiserver.ServingConfig {
	s := apiserver.ServingConfig{
		Listeners:         p.Listeners,
		Advertise:         p.Names.Advertised(),
		GetCertificate:    p.Identity.Server.GetCertificate,
		IssuerCertificate: p.Identity.Authority.Hosts().Certificate,
		ClientCAs:         p.Identity.Authority.Pool(),
		SwaggerUI:         c.EnableSwaggerUI,
	}
	for _, name := range p.Ready.Names() {
		s.ReadyChecks = append(s.ReadyChecks, apiserver.ReadyCheck{Name: name, Check: func() error { return p.Ready.Check(name) }})
	}
	return s
}

func tokens(c config.Tokens, publicDiscovery bool) apiserver.TokensConfig {
	return apiserver.TokensConfig{
		Issuers:          c.Issuers,
		IssuerOverlap:    c.IssuerOverlap.Duration,
		APIAudiences:     c.APIAudiences,
		JWKSURI:          c.JWKSURI,
		MaxExpiration:    c.MaxExpiration.Duration,
		ExtendExpiration: c.ExtendExpiration,
		Legacy:           c.Legacy,
		PublicDiscovery:  publicDiscovery,
	}
}

// ControllerTokens are the settings of tokens in the terms of controllers.
func ControllerTokens(c config.Tokens) manager.Tokens {
	return manager.Tokens{
		Issuer: issuer.First(c.Issuers), Overlap: c.IssuerOverlap.Duration,
		Legacy: c.Legacy, LegacyCleanUp: c.LegacyCleanUpPeriod.Duration,
	}
}
