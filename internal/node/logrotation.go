package node

import (
	"context"

	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/node/runspec"
)

// runningLogs are the logs of the containers that run.
func (a *Agent) runningLogs(ctx context.Context) (all []logs.Running) {
	for _, now := range a.pods.snapshots() {
		for _, c := range now.Running() {
			all = append(all, logs.Running{
				Path: runspec.ContainerLog(now.API, c.Name, c.Attempt), Reopen: func() error { return a.cri().ReopenLog(ctx, c.ID) },
			})
		}
	}
	return all
}
