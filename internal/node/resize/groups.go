package resize

import (
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/host/cgroups"
)

// HostGroups is Groups on this machine, and what else there is to do with the groups of
// pods: they lie under one group of the given name.
type HostGroups struct {
	Hierarchy cgroups.Hierarchy
	Name      string
	// MaxPids is how many processes and threads a pod may have, none when it is not
	// positive.
	MaxPids int64
}

// Pod is the group of a pod, as a sandbox names its parent.
func (g HostGroups) Pod(uid types.UID) string { return g.Hierarchy.Pod(g.Name, string(uid)) }

// MakePod implements Groups.
func (g HostGroups) MakePod(uid types.UID, l cgroups.Limits) error {
	l.Pids = max(g.MaxPids, 0)
	return g.Hierarchy.MakePod(g.Name, string(uid), l)
}

// ChangePod implements Groups.
func (g HostGroups) ChangePod(uid types.UID, l cgroups.Limits) error {
	return g.Hierarchy.ChangePod(g.Name, string(uid), l)
}

// MemoryUsed implements Groups.
func (g HostGroups) MemoryUsed(uid types.UID, container string) (int64, error) {
	return g.Hierarchy.MemoryUsed(g.Name, string(uid), container)
}

// RemovePod removes the group of a pod, which is empty.
func (g HostGroups) RemovePod(uid types.UID) error {
	return g.Hierarchy.RemovePod(g.Name, string(uid))
}

// Usage is what a pod takes, and its containers by the runtime's ID.
func (g HostGroups) Usage(uid types.UID) (cgroups.Usage, map[string]cgroups.Usage, error) {
	return g.Hierarchy.PodUsage(g.Name, string(uid))
}
