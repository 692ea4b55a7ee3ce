package node

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/inventory"
	"laterna.dev/laterna/internal/node/probe"
	"laterna.dev/laterna/internal/node/registration"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/runtime/stdio"
	"laterna.dev/laterna/internal/wait"
)

// reconnect is the pause before the runtime is asked for its version again.
const reconnect = 200 * time.Millisecond

// runtime is the container runtime that the agent is connected to.
type runtime struct {
	client    *cri.Client
	whole     *stdio.Client // client, for the containers of pods
	endpoint  Endpoint
	version   cri.Version
	inventory *inventory.Inventory
	prober    *probe.Prober
	metrics   http.Handler // of the prober
}

// connect waits for the runtime and asks for its version.
func (a *Agent) connect(ctx context.Context) (*runtime, error) {
	endpoint, err := a.cfg.Runtime.Endpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding the container runtime: %w", err)
	}
	if err := cri.WaitSocket(ctx, a.cfg.Wall, endpoint.CRI); err != nil {
		return nil, err
	}
	client, err := cri.Dial(endpoint.CRI)
	if err != nil {
		return nil, err
	}
	whole := stdio.New(ctx, client, stdio.Config{
		Dir: endpoint.Streams, Logs: a.logs, LogRoot: a.cfg.logRoot(), Wall: a.cfg.Wall, Log: a.cfg.Log,
	})
	rt := &runtime{client: client, whole: whole, endpoint: endpoint, inventory: inventory.New(inventory.Config{
		Client: client, Containerd: endpoint.Containerd, Instance: a.cfg.Instance, Wall: a.cfg.Wall, Log: a.cfg.Log,
	}), prober: probe.New(probe.Config{Exec: client, Version: a.cfg.apiVersion(), Wall: a.cfg.Wall})}
	rt.metrics = rt.prober.Metrics()
	for {
		if rt.version, err = client.Version(ctx); err == nil {
			a.cfg.Log.Info("container runtime connected", "runtime", rt.version.Name, "version", rt.version.Version)
			return rt, nil
		}
		if !wait.Pause(ctx, a.cfg.Wall, reconnect) {
			client.Close()
			return nil, err
		}
	}
}

// state is what the node object says about the runtime, nil that has not answered.
func (rt *runtime) state(ctx context.Context) registration.Runtime {
	if rt == nil {
		return registration.Down()
	}
	return registration.Ask(ctx, rt.client, rt.version)
}

// images are those on the node, none while there is no runtime.
func (rt *runtime) images(ctx context.Context) ([]corev1.ContainerImage, error) {
	if rt == nil {
		return nil, nil
	}
	return registration.ListImages(ctx, rt.client)
}
