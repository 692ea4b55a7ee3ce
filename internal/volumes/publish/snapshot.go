package publish

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/projection"
)

// Snapshot returns what the volumes of a pod show now, those of API content in the
// order of the pod's volumes; nil for a pod that was neither set up nor adopted. It
// does not wait for publications under way.
func (pub *Publisher) Snapshot(uid types.UID) []Status {
	p := pub.pod(uid)
	if p == nil {
		return nil
	}
	all := p.inOrder()
	slices.SortFunc(all, func(a, b *volume) int { return a.index - b.index })
	var out []Status
	for _, v := range all {
		if projection.Projected(v.source) {
			out = append(out, v.status())
		}
	}
	return out
}

func (v *volume) status() Status {
	v.state.Lock()
	defer v.state.Unlock()
	s := Status{
		Name: v.source.Name, Tokens: v.shown.tokens, Digest: v.shown.digest,
		Published: v.shown.at, Generation: v.shown.generation, Problem: v.note,
	}
	if v.failure != nil {
		s.Problem = v.failure.Error()
	}
	s.Rejected = s.Problem == noteRejected
	for i, source := range v.sources {
		status := SourceStatus{Kind: source.kind, Name: source.name, Observed: v.observed(source)}
		if v.shown.versions != nil {
			status.Published = v.shown.versions[i]
		}
		s.Sources = append(s.Sources, status)
	}
	return s
}

// observed is the newest version of a source that is known, "" when it is not there.
func (v *volume) observed(s source) string {
	if s.kind == kindPod {
		return *v.pod.version.Load()
	}
	object, err, known := v.kept[s.key].Peek()
	if !known || err != nil {
		return ""
	}
	return object.GetResourceVersion()
}

const kindPod = "Pod"

// source is an object that a volume shows.
type source struct {
	kind, name string
	key        objects.Key // unless it is the pod
}

// sourcesOf returns what v shows, each object once, in the order of its sources.
func sourcesOf(spec *corev1.Pod, v *corev1.Volume) (all []source) {
	for _, part := range split(v) {
		if projection.ReadsPod(&part) {
			all = append(all, source{kind: kindPod, name: spec.Name})
		}
		for _, r := range projection.Refs(&part) {
			key := objects.Key{Kind: r.Kind, Namespace: spec.Namespace, Name: r.Name}
			all = append(all, source{r.Kind.APIKind(), r.Name, key})
		}
	}
	return once(all)
}

// split returns v as volumes of one source each.
func split(v *corev1.Volume) []corev1.Volume {
	if v.Projected == nil {
		return []corev1.Volume{*v}
	}
	parts := make([]corev1.Volume, len(v.Projected.Sources))
	for i := range parts {
		projected := *v.Projected
		projected.Sources = v.Projected.Sources[i : i+1]
		parts[i] = *v
		parts[i].Projected = &projected
	}
	return parts
}

func once(all []source) (kept []source) {
	for _, s := range all {
		if !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}
