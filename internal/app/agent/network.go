package agent

import (
	"context"
	"log/slog"

	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/network/plane"
)

// Routes tells whether services are routed: where pods have the network of the managed
// runtime.
func Routes(c config.Node) bool { return c.Enabled && c.CRIEndpoint == "" }

// Network chooses the network of the managed runtime, which is nil where no such network is
// needed. Links and rules come with Routed.
func Network(c config.Node, ranges config.Network, dir datadir.Dir, wall clock.Wall, log *slog.Logger) (*plane.Plane, error) {
	switch {
	case !c.Enabled:
		return nil, nil
	case c.CRIEndpoint != "":
		log.Warn("another runtime brings its own pod network: pods reach the API only if that network leads to it, and service addresses are not routed")
		return nil, nil
	}
	return plane.New(plane.Config{
		Dir:      dir,
		Pods:     ranges.Pods(),
		Services: ranges.Services(),
		Clock:    wall,
		Log:      log,
	})
}

// Routed runs the network of pods with the way to the API, as a component.
func Routed(network *plane.Plane, api plane.API) component.Component {
	return component.Run("pod network", func(ctx context.Context) error { return network.Run(ctx, api) })
}
