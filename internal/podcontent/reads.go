package podcontent

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/api/onupdate"
	"laterna.dev/laterna/internal/podfields"
)

// Read is an object whose content counts.
type Read struct {
	Object
	// Keys are those that count, sorted, each once; nil for all.
	Keys []string
}

// Reads returns what counts for a template: what the request names, or with auto every
// object that the pods read, but what only volumes show that a rule of the template's
// annotation laterna.dev/on-update serves. Of an object that the pods read, what they read
// counts; of another one, all does. They are sorted.
func Reads(r Request, template *corev1.PodTemplateSpec) ([]Read, error) {
	found := map[Object]*reading{}
	for _, o := range r.Objects {
		found[o] = &reading{}
	}
	served := func(*corev1.Volume) bool { return false }
	if r.Auto {
		served = servedBy(template)
	}
	for ref := range podfields.References(&template.Spec) {
		o, ok := content(ref)
		if !ok || ref.Volume != nil && served(ref.Volume) {
			continue
		}
		if found[o] == nil {
			if !r.Auto {
				continue
			}
			found[o] = &reading{}
		}
		found[o].add(ref.Keys)
	}
	if len(found) > MaxObjects {
		return nil, tooMany(len(found))
	}
	var out []Read
	for o, f := range found {
		out = append(out, Read{o, f.which()})
	}
	slices.SortFunc(out, func(a, b Read) int { return compare(a.Object, b.Object) })
	return out, nil
}

// reading collects the keys of an object that are read.
type reading struct {
	all  bool
	keys []string
}

func (r *reading) add(keys []string) {
	r.all = r.all || keys == nil
	r.keys = append(r.keys, keys...)
}

// which are the keys that count. An object that no pod reads was named for something
// else: all of it counts.
func (r *reading) which() []string {
	if r.all || len(r.keys) == 0 {
		return nil
	}
	slices.Sort(r.keys)
	return slices.Compact(r.keys)
}

// content tells which object a reference shows to the containers of a pod. What logs in
// at a registry or at storage is no content.
func content(ref podfields.Reference) (Object, bool) {
	v := ref.Volume
	if ref.Container == nil && (v == nil || v.Secret == nil && v.ConfigMap == nil && v.Projected == nil) {
		return Object{}, false
	}
	switch ref.Kind {
	case podfields.ConfigMaps:
		return Object{ConfigMap, ref.Name}, ref.Name != ""
	case podfields.Secrets:
		return Object{Secret, ref.Name}, ref.Name != ""
	}
	return Object{}, false
}

// servedBy tells which volumes of a template need no rollout: a rule has something done in
// every container that mounts them when they change. An init container has read what it
// read, and a file mounted by subPath stays as it was unless it is asked to follow.
func servedBy(template *corev1.PodTemplateSpec) func(*corev1.Volume) bool {
	rules, err := onupdate.Parse(template.Annotations[api.OnUpdate])
	if err != nil {
		rules = nil // which is told when the pods are made
	}
	follows := template.Annotations[api.SubPathUpdates] == "true"
	return func(v *corev1.Volume) bool {
		mounted := false
		for at, c := range podfields.Containers(&template.Spec) {
			for _, m := range c.VolumeMounts {
				if m.Name != v.Name {
					continue
				}
				mounted = true
				whole := follows || m.SubPath == "" && m.SubPathExpr == ""
				if at.List == podfields.Init && !podfields.Sidecar(c) || !acts(rules, v.Name, c.Name, whole) {
					return false
				}
			}
		}
		return mounted
	}
}

// acts tells whether a rule has something done in a container when a volume has changed.
// A container that is started anew sees what is new in any case.
func acts(rules []onupdate.Rule, volume, container string, follows bool) bool {
	return slices.ContainsFunc(rules, func(r onupdate.Rule) bool {
		if r.Container != container || !slices.Contains(r.Volumes, volume) {
			return false
		}
		return r.Restart || follows && (r.Signal != "" || len(r.Exec) > 0)
	})
}
