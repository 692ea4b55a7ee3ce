package podworker

import (
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/host/cgroups"
)

// HostGroups is Groups on this machine: the groups of pods lie under one group of
// the given name.
type HostGroups struct {
	Hierarchy cgroups.Hierarchy
	Name      string
	// MaxPids is how many processes and threads a pod may have, none when it is not
	// positive.
	MaxPids int64
}

// Pod implements Groups.
func (g HostGroups) Pod(uid types.UID) string { return g.Hierarchy.Pod(g.Name, string(uid)) }

// MakePod implements Groups.
func (g HostGroups) MakePod(uid types.UID, l cgroups.Limits) error {
	l.Pids = max(g.MaxPids, 0)
	return g.Hierarchy.MakePod(g.Name, string(uid), l)
}

// RemovePod implements Groups.
func (g HostGroups) RemovePod(uid types.UID) error {
	return g.Hierarchy.RemovePod(g.Name, string(uid))
}
