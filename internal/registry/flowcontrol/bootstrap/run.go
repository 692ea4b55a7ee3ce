package bootstrap

import (
	"context"
	"log/slog"
	"time"

	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/wait"
)

const (
	// pause is the time between two looks at the objects, as in Kubernetes.
	pause = time.Minute
	// retry is the pause after a look that has failed.
	retry = time.Second
)

// Config is what Run needs. Every field is required.
type Config struct {
	// Storage holds both kinds by path.
	Storage map[string]rest.Storage
	// After is closed when the objects may be written: a server that becomes ready need not
	// wait for them.
	After <-chan struct{}
	// Tried is called once, when they have been written for the first time or could not be.
	Tried func()
	Wall  clock.Wall
	Log   *slog.Logger
}

// Run keeps the objects until ctx ends.
func Run(ctx context.Context, c Config) {
	select {
	case <-c.After:
	case <-ctx.Done():
		return
	}
	for n := 0; ctx.Err() == nil; n++ {
		next := pause
		if err := Keep(ctx, c.Storage, c.Wall.Now()); err != nil && ctx.Err() == nil {
			c.Log.Warn("keeping flow schemas and priority levels failed", "error", err)
			next = retry
		}
		if n == 0 {
			c.Tried()
		}
		wait.Pause(ctx, c.Wall, next)
	}
}
