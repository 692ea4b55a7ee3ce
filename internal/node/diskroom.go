package node

import (
	"context"

	"laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/host/reserve"
	"laterna.dev/laterna/internal/node/diskroom"
)

// RelieveDisk ends the pod that has most on the full disk beyond what it asked for, and
// tells whether there is one.
func (a *Agent) RelieveDisk(ctx context.Context, room machine.Room, wanted reserve.Amount) bool {
	c := diskroom.Config{Pods: diskroom.PodsOf(a.pods.all()), PodRoot: a.cfg.podRoot(), LogRoot: a.cfg.logRoot(), Log: a.cfg.Log}
	if rt := a.runtime.Load(); rt != nil {
		c.Containerd = rt.endpoint.Containerd
	}
	return diskroom.Relieve(ctx, c, room, wanted)
}

// DiskChanged has the node say at once whether its disk is short.
func (a *Agent) DiskChanged() { a.registrar.Changed() }
