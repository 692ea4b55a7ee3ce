package node

import (
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/podworker"
)

// workerDeps is what the workers of pods stand on once the runtime is connected.
func (a *Agent) workerDeps(rt *runtime) *podworker.Deps {
	return &podworker.Deps{
		Node: podworker.Node{
			IPs: a.cfg.NodeIPs, ClusterDomain: a.cfg.ClusterDomain, Instance: a.cfg.Instance, Root: a.cfg.Root,
			LogRoot: a.cfg.logRoot(), Runtime: rt.version.Name, Memory: a.registrar.Facts().Memory, Allocatable: a.Allocatable,
		},
		Runtime: rt.client, Inventory: rt.inventory, Images: rt.endpoint.Images, Groups: a.cfg.Groups,
		Volumes: a.volumes, SubPaths: a.fresh, Updates: a.updates, Projections: a.projections, Objects: a.objects,
		Pods:     func(namespace string) podworker.Pods { return a.cfg.Client.CoreV1().Pods(namespace) },
		Services: a.listServices, Events: a.recorder, Logs: a.logs, Turn: a.turn, Pulled: a.registrar.Changed,
		Clock: a.cfg.Clock, Wall: a.cfg.Wall, Log: a.cfg.Log,
	}
}

// listServices are all services of the cluster. They are shared: read only.
func (a *Agent) listServices() (all []*corev1.Service) {
	for _, s := range a.services.List() {
		all = append(all, s.(*corev1.Service))
	}
	return all
}
