package managed

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/images"
	"laterna.dev/laterna/internal/runtime/pause"
)

// Runtime is a container runtime as a component of the system.
type Runtime interface {
	component.Component
	// Endpoint returns when the runtime is about to answer, or when ctx ends.
	Endpoint(ctx context.Context) (Endpoint, error)
}

// Endpoint is where a runtime can be reached.
type Endpoint struct {
	// CRI is the path of the socket that serves CRI.
	CRI string
	// Containerd is the path of containerd's own API, and Images what is in it; empty and
	// nil for a runtime that somebody else runs.
	Containerd string
	Images     *images.Store
	// Streams is containerd.Info's.
	Streams string
}

// Config is what a private containerd is made of. Every field is required.
type Config struct {
	// Root and RunDir are the directories for what stays and for what goes with a reboot.
	Root, RunDir string
	// HostName names what containerd makes on the machine.
	HostName string
	// CNIConfDir has the configuration of the pods' network.
	CNIConfDir string
	Clock      clock.Wall
	Log        *slog.Logger
}

// New returns a private containerd, which is not started yet.
func New(cfg Config) (Runtime, error) {
	sandbox, err := pause.New()
	if err != nil {
		return nil, err
	}
	daemon := containerd.New(containerd.Config{
		Root:         cfg.Root,
		RunDir:       cfg.RunDir,
		HostName:     cfg.HostName,
		SandboxImage: sandbox.Ref,
		CNIConfDir:   cfg.CNIConfDir,
		Log:          cfg.Log,
		Clock:        cfg.Clock,
	})
	store, err := images.Open(images.Config{Socket: daemon.Socket(), Root: cfg.Root, Clock: cfg.Clock, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	return &managed{daemon: daemon, store: store, started: make(chan struct{}), failed: make(chan error, 1)}, nil
}

// Foreign returns the runtime that somebody else runs at an endpoint, such as
// unix:///run/crio/crio.sock.
func Foreign(endpoint string) Runtime {
	return foreign(filepath.Clean(strings.TrimPrefix(endpoint, "unix://")))
}

// foreign is the socket of a runtime that is already there.
type foreign string

// Name implements component.Component.
func (foreign) Name() string { return "container runtime" }

// Init implements component.Component.
func (foreign) Init(context.Context) error { return nil }

// Start implements component.Component.
func (foreign) Start(context.Context) error { return nil }

// Stop implements component.Component.
func (foreign) Stop(context.Context) error { return nil }

// Endpoint implements Runtime.
func (r foreign) Endpoint(context.Context) (Endpoint, error) {
	return Endpoint{CRI: string(r)}, nil
}

// managed is the private containerd as a component. It outlives the process:
// Stop only stops looking after it.
type managed struct {
	daemon  *containerd.Daemon
	store   *images.Store
	info    containerd.Info // before started is closed it is bringUp's
	started chan struct{}   // closed when the daemon answers and has the sandbox image
	failed  chan error
	cancel  context.CancelFunc
	done    chan struct{}
}

// Name implements component.Component.
func (*managed) Name() string { return "containerd" }

// Init implements component.Component.
func (*managed) Init(context.Context) error { return nil }

// Start implements component.Component. The daemon comes up while the rest starts.
func (r *managed) Start(ctx context.Context) error {
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
		var strays sync.WaitGroup
		strays.Go(func() { r.daemon.EndStrays(ctx) })
		r.daemon.Supervise(ctx)
		strays.Wait()
	}()
	return nil
}

func (r *managed) bringUp(ctx context.Context) error {
	var err error
	if r.info, err = r.daemon.Start(ctx); err != nil {
		return err
	}
	if _, err := r.store.EnsurePause(ctx); err != nil {
		return err
	}
	close(r.started)
	return nil
}

// Failed implements component.Failer.
func (r *managed) Failed() <-chan error { return r.failed }

// Stop implements component.Component.
func (r *managed) Stop(ctx context.Context) error {
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

// Endpoint implements Runtime.
func (r *managed) Endpoint(ctx context.Context) (Endpoint, error) {
	select {
	case <-r.started:
		return Endpoint{CRI: r.daemon.Socket(), Containerd: r.daemon.Socket(), Images: r.store, Streams: r.info.Streams}, nil
	case <-ctx.Done():
		return Endpoint{}, ctx.Err()
	}
}
