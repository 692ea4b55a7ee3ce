package apiextensions

import (
	"slices"
	"sync"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
)

// groups is where the library lists group-versions of custom resources. It adds them to
// the older list of groups, too, which upstream's aggregator keeps.
type groups struct {
	aggregated.ResourceManager
	listed discovery.GroupManager

	// own are the versions of the server's own groups, to which definitions may add.
	own map[string][]string

	mu       sync.Mutex
	versions map[string][]string // by group
}

// groups returns the resource manager that the library is given.
func (s *Server) groups() aggregated.ResourceManager {
	return bySource{s.config.Groups, &groups{
		ResourceManager: s.config.Groups.WithSource(aggregated.CRDSource),
		listed:          s.config.Listed,
		own:             s.config.Own,
		versions:        map[string][]string{},
	}}
}

// bySource tells groups of custom resources from that of definitions, which is listed
// already.
type bySource struct {
	aggregated.ResourceManager
	custom *groups
}

// WithSource implements aggregated.ResourceManager.
func (b bySource) WithSource(source aggregated.Source) aggregated.ResourceManager {
	if source == aggregated.CRDSource {
		return b.custom
	}
	return b.ResourceManager.WithSource(source)
}

// AddGroupVersion implements aggregated.ResourceManager.
func (g *groups) AddGroupVersion(group string, v apidiscoveryv2.APIVersionDiscovery) {
	g.ResourceManager.AddGroupVersion(group, v)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.versions[group], v.Version) {
		g.list(group, append(g.versions[group], v.Version))
	}
}

// RemoveGroupVersion implements aggregated.ResourceManager.
func (g *groups) RemoveGroupVersion(gv metav1.GroupVersion) {
	g.ResourceManager.RemoveGroupVersion(gv)
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.versions[gv.Group], gv.Version); i >= 0 {
		g.list(gv.Group, slices.Delete(g.versions[gv.Group], i, i+1))
	}
}

// RemoveGroup implements aggregated.ResourceManager.
func (g *groups) RemoveGroup(group string) {
	g.ResourceManager.RemoveGroup(group)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.list(group, nil)
}

// list lists a group with its versions, the server's own first, then in Kubernetes' order
// of them: v1 before v1beta1.
func (g *groups) list(group string, versions []string) {
	slices.SortFunc(versions, func(a, b string) int { return version.CompareKubeAwareVersionStrings(b, a) })
	g.versions[group] = versions
	if len(versions) == 0 {
		delete(g.versions, group)
	}
	listed := metav1.APIGroup{Name: group}
	for _, v := range slices.Concat(g.own[group], versions) {
		one := metav1.GroupVersionForDiscovery{GroupVersion: group + "/" + v, Version: v}
		if !slices.Contains(listed.Versions, one) {
			listed.Versions = append(listed.Versions, one)
		}
	}
	if len(listed.Versions) == 0 {
		g.listed.RemoveGroup(group)
		return
	}
	listed.PreferredVersion = listed.Versions[0]
	g.listed.AddGroup(listed)
}
