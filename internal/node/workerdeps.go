package node

import (
	"laterna.dev/laterna/internal/node/env"
	"laterna.dev/laterna/internal/node/hook"
	"laterna.dev/laterna/internal/node/podworker"
	"laterna.dev/laterna/internal/node/process"
	"laterna.dev/laterna/internal/node/runspec"
)

// workerDeps is what the workers of pods stand on once the runtime is connected.
func (a *Agent) workerDeps(rt *runtime) *podworker.Deps {
	return &podworker.Deps{
		Node: podworker.Node{
			IPs: a.cfg.NodeIPs, ClusterDomain: a.cfg.ClusterDomain, ClusterDNS: a.cfg.ClusterDNS, Instance: a.cfg.Instance, Root: a.cfg.Root,
			LogRoot: a.cfg.logRoot(), Runtime: rt.version.Name, Memory: a.registrar.Facts().Memory, Allocatable: a.Allocatable,
		},
		Runtime: rt.whole, Stop: process.Stopper{Runtime: rt.client, Log: a.cfg.Log}.Stop, Network: a.cfg.Network,
		Inventory: rt.inventory, Images: a.images, Groups: a.cfg.Groups, Resizes: a.resizes,
		Volumes: a.podVolumes, SubPaths: a.fresh, Updates: a.updates, Projections: a.projections, Objects: a.objects,
		Probes: rt.prober, Hooks: hook.New(hook.Config{Exec: rt.client, Version: a.cfg.apiVersion(), Wall: a.cfg.Wall}),
		Pods:     func(namespace string) podworker.Pods { return a.cfg.Client.CoreV1().Pods(namespace) },
		Services: env.ListServices(a.services), Events: a.recorder, Logs: a.logs, Turn: a.turn,
		NoClusterDNS: a.noDNS, Handler: runspec.Handler(a.cfg.Client, rereadTime),
		Clock: a.cfg.Clock, Wall: a.cfg.Wall, Log: a.cfg.Log,
	}
}
