package apiserver

import (
	"context"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/apiserver/answers"
	"laterna.dev/laterna/internal/apiserver/fairness"
	"laterna.dev/laterna/internal/registry/flowcontrol/bootstrap"
	"laterna.dev/laterna/internal/wait"
)

const (
	// prioritiesPause is the time between two looks at the flow schemas and priority
	// levels that always exist, as in Kubernetes.
	prioritiesPause = time.Minute
	// prioritiesRetry is the pause after a look that has failed.
	prioritiesRetry = time.Second
)

// newFairness returns what admits requests.
func (s *Server) newFairness() *fairness.Fairness {
	return fairness.New(fairness.Config{
		Client:  s.access.client,
		Begin:   s.prioritized,
		Sit:     answers.Sit,
		GiveWay: s.readings.GiveWay,
		Wall:    s.config.Wall,
	})
}

// keepPriorities keeps the flow schemas and priority levels that always exist until ctx
// ends. It begins when the server is ready, which need not wait for it: until then requests
// share all there is.
func (s *Server) keepPriorities(ctx context.Context, storage map[string]rest.Storage) {
	select {
	case <-s.boot.ended:
	case <-ctx.Done():
		return
	}
	begin := sync.OnceFunc(func() { close(s.prioritized) })
	for ctx.Err() == nil {
		pause := prioritiesPause
		if err := bootstrap.Keep(ctx, storage, s.config.Wall.Now()); err != nil && ctx.Err() == nil {
			s.config.Log.Warn("keeping flow schemas and priority levels failed", "error", err)
			pause = prioritiesRetry
		}
		begin()
		wait.Pause(ctx, s.config.Wall, pause)
	}
}
