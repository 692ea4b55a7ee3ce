package app

import (
	"context"

	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/node"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/images"
	"laterna.dev/laterna/internal/runtime/pause"
)

// newRuntime returns the runtime that the configuration names: somebody else's, or
// a private containerd.
func newRuntime(s *system) (runtimeProvider, error) {
	if endpoint := s.config.Node.CRIEndpoint; endpoint != "" {
		return foreignRuntime(socketPath(endpoint)), nil
	}
	sandbox, err := pause.New()
	if err != nil {
		return nil, err
	}
	daemon := containerd.New(containerd.Config{
		Root:         s.dir.Containerd(),
		RunDir:       s.dir.RunDir,
		HostName:     s.dir.HostName(),
		SandboxImage: sandbox.Ref,
		CNIConfDir:   bridge.ConfDir(s.dir),
		Log:          s.log,
		Clock:        s.wall,
	})
	store, err := images.Open(images.Config{Socket: daemon.Socket(), Root: s.dir.Containerd(), Clock: s.wall, Log: s.log})
	if err != nil {
		return nil, err
	}
	return &managedRuntime{daemon: daemon, store: store, started: make(chan struct{}), failed: make(chan error, 1)}, nil
}

// foreignRuntime is the socket of a runtime that is already there.
type foreignRuntime string

// Name implements component.Component.
func (foreignRuntime) Name() string { return "container runtime" }

// Init implements component.Component.
func (foreignRuntime) Init(context.Context) error { return nil }

// Start implements component.Component.
func (foreignRuntime) Start(context.Context) error { return nil }

// Stop implements component.Component.
func (foreignRuntime) Stop(context.Context) error { return nil }

// Endpoint implements node.RuntimeProvider.
func (r foreignRuntime) Endpoint(context.Context) (node.Endpoint, error) {
	return node.Endpoint{CRI: string(r)}, nil
}

// managedRuntime is the private containerd as a component. It outlives the process:
// Stop only stops looking after it.
type managedRuntime struct {
	daemon  *containerd.Daemon
	store   *images.Store
	started chan struct{} // closed when the daemon answers and has the sandbox image
	failed  chan error
	cancel  context.CancelFunc
	done    chan struct{}
}

// Name implements component.Component.
func (*managedRuntime) Name() string { return "containerd" }

// Init implements component.Component.
func (*managedRuntime) Init(context.Context) error { return nil }

// Start implements component.Component. The daemon comes up while the rest starts.
func (r *managedRuntime) Start(ctx context.Context) error {
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		if err := r.bringUp(ctx); err != nil {
			if ctx.Err() == nil {
				r.failed <- err
			}
			return
		}
		r.daemon.Supervise(ctx)
	}()
	return nil
}

func (r *managedRuntime) bringUp(ctx context.Context) error {
	if _, err := r.daemon.Start(ctx); err != nil {
		return err
	}
	if _, err := r.store.EnsurePause(ctx); err != nil {
		return err
	}
	close(r.started)
	return nil
}

// Failed implements component.Failer.
func (r *managedRuntime) Failed() <-chan error { return r.failed }

// Stop implements component.Component.
func (r *managedRuntime) Stop(ctx context.Context) error {
	if r.cancel == nil {
		return r.store.Close()
	}
	r.cancel()
	select {
	case <-r.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return r.store.Close()
}

// Endpoint implements node.RuntimeProvider.
func (r *managedRuntime) Endpoint(ctx context.Context) (node.Endpoint, error) {
	select {
	case <-r.started:
		return node.Endpoint{CRI: r.daemon.Socket(), Containerd: r.daemon.Socket(), Images: r.store}, nil
	case <-ctx.Done():
		return node.Endpoint{}, ctx.Err()
	}
}
