package node

import (
	"context"
	"time"

	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/node/runspec"
)

// rotateEvery is how often the sizes of logs are looked at.
const rotateEvery = 10 * time.Second

// rotateLogs keeps the logs of running containers small until ctx ends.
func (a *Agent) rotateLogs(ctx context.Context) {
	ticker := a.cfg.Wall.NewTicker(rotateEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		for _, now := range a.pods.snapshots() {
			for _, c := range now.Running() {
				reopen := func() error { return a.cri().ReopenLog(ctx, c.ID) }
				if err := logs.Rotate(a.logs, runspec.ContainerLog(now.API, c.Name, c.Attempt), a.cfg.Wall.Now(), reopen); err != nil {
					a.cfg.Log.Warn("log not rotated", "namespace", now.API.Namespace, "pod", now.API.Name, "container", c.Name, "error", err)
				}
			}
		}
	}
}
