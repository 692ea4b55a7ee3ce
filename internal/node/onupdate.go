package node

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/node/updatehost"
	"laterna.dev/laterna/internal/volumes/freshpath"
	"laterna.dev/laterna/internal/volumes/onupdate"
	"laterna.dev/laterna/internal/volumes/publish"
)

// newUpdates makes what carries out the rules of pods. It is used once the volumes are
// set too.
func (a *Agent) newUpdates(ctx context.Context, snapshot func(types.UID) []publish.Status) *onupdate.Runner {
	k := a.containers()
	return onupdate.New(ctx, onupdate.Config{
		Container: k.Look, Exec: k.Exec, Signal: k.Signal, Restart: k.Restart,
		Fresh: func(ctx context.Context, pod *corev1.Pod, volume string) { a.fresh.Fresh(ctx, pod, volume) },
		Generations: func(uid types.UID) map[string]string {
			out := map[string]string{}
			for _, s := range snapshot(uid) {
				if s.Generation != "" {
					out[s.Name] = s.Generation
				}
			}
			return out
		},
		PodDir: func(uid types.UID) string { return a.volumes.PodDir(uid) },
		Event:  k.Event, Changed: a.projections.Changed, Clock: a.cfg.Wall, Log: a.cfg.Log,
	})
}

// newFollower makes what lets subPaths follow updates in running containers.
func (a *Agent) newFollower(volumes freshpath.Volumes) *freshpath.Follower {
	k := a.containers()
	return freshpath.New(freshpath.Config{
		Volumes: volumes, Running: k.Running, Hold: k.Hold, Event: a.Event, Log: a.cfg.Log,
	})
}

// volumesChanged tells that the volumes of a pod show something else, or why they do
// not.
func (a *Agent) volumesChanged(uid types.UID) {
	a.projections.Changed(uid)
	a.revisions.Moved()
	a.updates.VolumesChanged(uid)
}

// containers are the containers of the node's pods as update rules see them.
func (a *Agent) containers() updatehost.Host {
	return updatehost.Host{
		Worker: a.pods.of, Runtime: a.cri, Events: a.recorder, Clock: a.cfg.Clock, Wall: a.cfg.Wall,
	}
}
