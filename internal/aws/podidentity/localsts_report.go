package podidentity

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/aws/arn"
)

// report tells of a pod to which it has been applied.
func (l *LocalSTS) report(r *Report, pod *corev1.Pod) string {
	var at, kept, ready []string
	for _, name := range l.names(pod) {
		if aliased(pod, name) == l.address {
			at = append(at, name)
		} else {
			kept = append(kept, "host "+name)
		}
	}
	if !holdsBundle(pod) {
		r.problem("volume %s is the pod's own and does not hold %s of ConfigMap %s: no container is given the authority of the local STS", bundleVolume, bundleFile, rootCAs)
	} else {
		l.each(pod, func(c *corev1.Container) {
			own, ok := localOf(r, c, bundlePath(pod))
			if ok {
				ready = append(ready, c.Name)
			}
			kept = append(kept, own...)
		})
	}
	l.each(pod, func(c *corev1.Container) { unledRegions(r, c) })
	text := "local STS at " + l.address + " for " + listed(at) + "; its variables in: " + listed(ready)
	if len(kept) > 0 {
		text += "; kept: " + strings.Join(kept, ", ")
	}
	return text
}

// localOf says which variables of a container are its own, and whether it was given any;
// what does not go together is a problem.
func localOf(r *Report, c *corev1.Container, file string) (kept []string, given bool) {
	if !mounts(c) {
		r.problem("container %s: something else is mounted at %s, so nothing leads it to the local STS but its hosts", c.Name, bundleMount)
		return nil, false
	}
	own := map[string]bool{} // whether it leads elsewhere, as far as is known
	for _, v := range []struct {
		name string
		good []string // ours first
	}{{envBundle, []string{file, accountBundle}}, {envEndpoint, []string{localEndpoint}}, {envNode, []string{file, accountBundle}}} {
		e := stated(c, v.name)
		if e.Name == v.name && e.ValueFrom == nil && e.Value == v.good[0] {
			continue
		}
		own[v.name] = e.ValueFrom != nil || !slices.Contains(v.good, e.Value)
		kept = append(kept, e.Name+" of "+c.Name)
	}
	switch {
	case own[envBundle] && !own[envEndpoint]:
		r.problem("container %s: %s is its own and leads to the local STS only if it holds this system's authority", c.Name, envBundle)
	case own[envEndpoint] && !own[envBundle]:
		r.problem("container %s: %s is its own, and %s holds the authority of the local STS alone", c.Name, stated(c, envEndpoint).Name, envBundle)
	}
	return kept, len(kept) < 3
}

// unledRegions finds regions whose STS is not led here for clients that know no endpoint.
func unledRegions(r *Report, c *corev1.Container) {
	for _, e := range regions(c) {
		if e.ValueFrom != nil || strings.Contains(e.Value, "$(") {
			r.problem("container %s: the value of %s is not known when the pod is created: clients that know no %s do not find the local STS", c.Name, e.Name, envEndpoint)
			continue
		}
		if _, ok := arn.STSHost(e.Value); !ok && e.Value != "" {
			r.problem("container %s: %s is %q, whose STS has no name that could lead to the local one: clients that know no %s do not find it", c.Name, e.Name, e.Value, envEndpoint)
		}
	}
}

// unreadLocal finds annotations that are neither yes nor no.
func unreadLocal(r *Report, of string, annotations map[string]string) {
	if text, ok := annotations[api.LocalSTS]; ok {
		if _, err := strconv.ParseBool(text); err != nil {
			r.problem("annotation %s of %s is neither true nor false: %q", api.LocalSTS, of, text)
		}
	}
}
