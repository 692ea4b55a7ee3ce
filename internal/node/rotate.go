package node

import (
	"context"
	"time"

	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/runtime/cri"
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
		for _, pod := range a.Pods() {
			w := a.worker(pod.UID)
			if w == nil {
				continue
			}
			for _, c := range w.viewed() {
				if c.State != cri.ContainerRunning {
					continue
				}
				reopen := func() error { return a.cri().ReopenLog(ctx, c.ID) }
				if err := logs.Rotate(a.logs, containerLog(pod, c.Name, c.Attempt), a.cfg.Wall.Now(), reopen); err != nil {
					a.cfg.Log.Warn("log not rotated", "namespace", pod.Namespace, "pod", pod.Name, "container", c.Name, "error", err)
				}
			}
		}
	}
}

// viewed is the pod's containers as last seen. It is shared: read only.
func (w *worker) viewed() []cri.Container {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.view
}
