package podhost

import (
	"context"

	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/node/runspec"
)

// RunningLogs are the logs of the containers that run.
func (h Host) RunningLogs(ctx context.Context) (all []logs.Running) {
	for _, w := range h.Workers() {
		now := w.Snapshot()
		for _, c := range now.Running() {
			all = append(all, logs.Running{
				Path: runspec.ContainerLog(now.API, c.Name, c.Attempt), Reopen: func() error { return h.Runtime().ReopenLog(ctx, c.ID) },
			})
		}
	}
	return all
}
