package garbagecollector

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
)

// cluster is the objects of the server.
type cluster struct {
	client metadata.Interface
	kinds  *kinds
}

var _ objects = cluster{}

// of returns the client of an object's kind and namespace.
func (c cluster) of(i identity) (metadata.ResourceInterface, error) {
	k, ok := c.kinds.find(i.apiVersion, i.kind)
	if !ok {
		return nil, errUnknownKind
	}
	if !k.namespaced {
		return c.client.Resource(k.resource), nil
	}
	return c.client.Resource(k.resource).Namespace(i.namespace), nil
}

func (c cluster) namespaced(apiVersion, name string) (bool, error) {
	k, ok := c.kinds.find(apiVersion, name)
	if !ok {
		return false, errUnknownKind
	}
	return k.namespaced, nil
}

func (c cluster) get(ctx context.Context, i identity) (*metav1.PartialObjectMetadata, error) {
	client, err := c.of(i)
	if err != nil {
		return nil, err
	}
	obj, err := client.Get(ctx, i.name, metav1.GetOptions{})
	if apierrors.IsMethodNotSupported(err) {
		return nil, errUnknownKind // it is served, and not to be read
	}
	return obj, err
}

// this is get for the very object; another one of its name counts as none.
func (c cluster) this(ctx context.Context, i identity) (*metav1.PartialObjectMetadata, error) {
	live, err := c.get(ctx, i)
	if err == nil && live.UID != i.uid {
		k, _ := c.kinds.find(i.apiVersion, i.kind)
		return nil, apierrors.NewNotFound(k.resource.GroupResource(), i.name)
	}
	return live, err
}

// remove deletes the object as it was read. Where it has changed since, it is deleted all
// the same as long as its owners are those that were read.
func (c cluster) remove(ctx context.Context, i identity, read *metav1.PartialObjectMetadata, policy metav1.DeletionPropagation) error {
	client, err := c.of(i)
	if err != nil {
		return err
	}
	options := metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &i.uid, ResourceVersion: &read.ResourceVersion},
		PropagationPolicy: &policy,
	}
	err = client.Delete(ctx, i.name, options)
	if !apierrors.IsConflict(err) {
		return err
	}
	now, lookErr := c.this(ctx, i)
	switch {
	case lookErr != nil:
		return lookErr
	case !equality.Semantic.DeepEqual(now.OwnerReferences, read.OwnerReferences):
		return err
	}
	options.Preconditions.ResourceVersion = nil
	return client.Delete(ctx, i.name, options)
}

// reference is what a strategic merge patch says of an owner reference.
type reference struct {
	Patch              string    `json:"$patch,omitempty"`
	UID                types.UID `json:"uid"`
	BlockOwnerDeletion *bool     `json:"blockOwnerDeletion,omitempty"`
}

func (c cluster) release(ctx context.Context, i identity, owners []types.UID) error {
	var gone []reference
	for _, uid := range owners {
		gone = append(gone, reference{Patch: "delete", UID: uid})
	}
	return c.refer(ctx, i, gone, func(refs []metav1.OwnerReference) []metav1.OwnerReference {
		return slices.DeleteFunc(refs, func(ref metav1.OwnerReference) bool { return slices.Contains(owners, ref.UID) })
	})
}

func (c cluster) unblock(ctx context.Context, i identity, read *metav1.PartialObjectMetadata) error {
	no := false
	var free []reference
	for _, ref := range read.OwnerReferences {
		if blocks(ref) {
			free = append(free, reference{UID: ref.UID, BlockOwnerDeletion: &no})
		}
	}
	return c.refer(ctx, i, free, func(refs []metav1.OwnerReference) []metav1.OwnerReference {
		for j := range refs {
			refs[j].BlockOwnerDeletion = &no
		}
		return refs
	})
}

// refer changes owner references by a strategic merge patch, or, where the kind knows
// none, by change.
func (c cluster) refer(ctx context.Context, i identity, patch []reference, change func([]metav1.OwnerReference) []metav1.OwnerReference) error {
	if len(patch) == 0 {
		return nil
	}
	err := c.patch(ctx, i, types.StrategicMergePatchType, map[string]any{"uid": i.uid, "ownerReferences": patch})
	if !apierrors.IsUnsupportedMediaType(err) {
		return err
	}
	live, err := c.this(ctx, i)
	if err != nil {
		return err
	}
	return c.patch(ctx, i, types.MergePatchType, map[string]any{
		"uid": i.uid, "resourceVersion": live.ResourceVersion, "ownerReferences": change(slices.Clone(live.OwnerReferences)),
	})
}

func (c cluster) finish(ctx context.Context, i identity, finalizer string) error {
	live, err := c.this(ctx, i)
	if err != nil {
		return err
	}
	if !hasFinalizer(live, finalizer) {
		return nil
	}
	left := slices.DeleteFunc(slices.Clone(live.Finalizers), func(f string) bool { return f == finalizer })
	return c.patch(ctx, i, types.MergePatchType, map[string]any{"uid": i.uid, "resourceVersion": live.ResourceVersion, "finalizers": left})
}

// patch changes the metadata of the very object. Where another one has its name by now,
// that is not found.
func (c cluster) patch(ctx context.Context, i identity, how types.PatchType, metadata map[string]any) error {
	client, err := c.of(i)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return fmt.Errorf("encoding a patch: %w", err)
	}
	_, err = client.Patch(ctx, i.name, how, body, metav1.PatchOptions{})
	if apierrors.IsInvalid(err) || apierrors.IsConflict(err) {
		if _, lookErr := c.this(ctx, i); apierrors.IsNotFound(lookErr) {
			return lookErr
		}
	}
	return err
}

func hasFinalizer(obj metav1.Object, finalizer string) bool {
	return slices.Contains(obj.GetFinalizers(), finalizer)
}
