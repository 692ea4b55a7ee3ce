package up

import (
	"context"
	"log/slog"

	"laterna.dev/laterna/internal/app/agent"
	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/network/servicerange"
)

// withServices is the network with a range of service addresses, which is chosen where it is
// left open. The store must be this process's.
func withServices(ctx context.Context, c config.Config, dir datadir.Dir, log *slog.Logger) (config.Network, error) {
	n := c.Network
	if len(c.Store.EtcdServers) > 0 && !n.Services().IsValid() {
		p, err := servicerange.Shared(n.Pods())
		n.ServiceClusterIPRange = p.String()
		return n, err
	}
	p, err := servicerange.Choose(ctx, servicerange.Config{Dir: dir, Asked: n.Services(), Pods: n.Pods(), Routed: agent.Routes(c.Node)})
	if err != nil {
		return n, err
	}
	if !n.Services().IsValid() && p != servicerange.Default() {
		log.Info("services have a range of addresses of their own, since the usual one is in use, or was at the first start", "usual", servicerange.Default(), "range", p)
	}
	n.ServiceClusterIPRange = p.String()
	return n, nil
}
