package agent

import (
	"context"
	"fmt"
	"log/slog"

	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/network/plane"
	"laterna.dev/laterna/internal/pki"
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

// Follows is as whom, and where, a node asks the API for services.
type Follows struct {
	Node, URL string
	// CA is the bundle by which it verifies the API, Client its client certificate.
	CA     []byte
	Client *pki.Pair
}

// Routed runs the network of pods with the way to the API, as a component.
func Routed(network *plane.Plane, api plane.API, f Follows) component.Component {
	return component.Run("pod network", func(ctx context.Context) error {
		rest := clientConfig(f.URL, Credentials{CA: f.CA, Client: f.Client})
		rest.UserAgent = "laterna-services"
		client, err := kubernetes.NewForConfig(rest)
		if err != nil {
			return fmt.Errorf("making the client that follows services: %w", err)
		}
		api.Client, api.Node = client, f.Node
		return network.Run(ctx, api)
	})
}
