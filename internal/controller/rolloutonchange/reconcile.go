package rolloutonchange

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/podcontent"
	"laterna.dev/laterna/internal/volumes/objects"
)

// follows tells whether objects are followed for a workload.
func (r *Controller) follows(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.kept[key]) > 0
}

// follow follows the objects that count for a workload, and no others for it, and returns
// them in the order of reads.
func (r *Controller) follow(key, namespace string, reads []podcontent.Read) []*objects.Reference {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, now := r.kept[key], map[objects.Key]*objects.Reference{}
	refs := make([]*objects.Reference, len(reads))
	for i, read := range reads {
		o := objectKey(namespace, read.Object)
		if refs[i] = before[o]; refs[i] == nil {
			refs[i] = r.cache.Keep(o, func() { r.queue.AddAfter(key, together) })
		}
		now[o] = refs[i]
	}
	for o, ref := range before {
		if now[o] == nil {
			ref.Release()
		}
	}
	if r.kept[key] = now; len(now) == 0 {
		delete(r.kept, key)
	}
	return refs
}

func objectKey(namespace string, o podcontent.Object) objects.Key {
	kind := objects.ConfigMap
	if o.Kind == podcontent.Secret {
		kind = objects.Secret
	}
	return objects.Key{Kind: kind, Namespace: namespace, Name: o.Name}
}

// digests are those of what counts now. known is false while some object has yet to be
// looked at.
func (r *Controller) digests(ctx context.Context, namespace string, reads []podcontent.Read, refs []*objects.Reference) (d podcontent.Digests, known bool, err error) {
	// Where the key was lost, admission makes another one as the template is written.
	key, err := podcontent.KeyOf(ctx, r.config.Client.CoreV1().Secrets(metav1.NamespaceSystem), true)
	if err != nil {
		return nil, false, err
	}
	d = podcontent.Digests{}
	for i, read := range reads {
		obj, err, known := refs[i].Peek()
		switch {
		case !known:
			return nil, false, nil
		case apierrors.IsNotFound(err):
			obj = nil
		case err != nil:
			return nil, false, fmt.Errorf("reading %s of namespace %s: %w", read.Object, namespace, err)
		}
		if d[read.Object], err = key.Digest(namespace, read, obj); err != nil {
			return nil, false, err
		}
	}
	return d, true, nil
}

// patch writes digests to the template of this very version of a workload.
func patch(obj metav1.Object, d podcontent.Digests) []byte {
	out, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": obj.GetUID(), "resourceVersion": obj.GetResourceVersion()},
		"spec":     map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": map[string]string{api.ContentDigests: d.String()}}}},
	})
	if err != nil {
		panic(err) // it is made of strings
	}
	return out
}

func listed(all []podcontent.Object) string {
	var names []string
	for _, o := range all {
		names = append(names, o.String())
	}
	return strings.Join(names, ", ")
}
