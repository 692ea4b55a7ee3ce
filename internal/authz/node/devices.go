package node

import (
	"context"
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Nothing here acts on volumes of storage drivers and on devices, and no agent of ours asks
// for their objects. The agents of others do, rarely: what such an object says of its node
// is read from the store each time.

// getOne allows to get one object that belongs to a node by what access says.
func (a *Authorizer) getOne(ctx context.Context, node string, access Access, attrs authorizer.Attributes) verdict {
	switch {
	case attrs.GetVerb() != "get":
		return refuse("can only get individual resources of this type")
	case attrs.GetSubresource() != "":
		return refuse("cannot get subresource")
	case attrs.GetName() == "":
		return refuse("No Object name found")
	}
	switch access {
	case Claimed:
		return a.referenced(ctx, node, deviceClaimKind, attrs)
	case Bound:
		return a.bound(ctx, node, attrs)
	}
	attachment, err := a.config.Client.StorageV1().VolumeAttachments().Get(ctx, attrs.GetName(), metav1.GetOptions{})
	return related(node, err == nil && attachment.Spec.NodeName == node, err)
}

// bound allows a volume that is bound to a claim which a pod of the node mounts.
func (a *Authorizer) bound(ctx context.Context, node string, attrs authorizer.Attributes) verdict {
	volume, err := a.config.Client.CoreV1().PersistentVolumes().Get(ctx, attrs.GetName(), metav1.GetOptions{})
	if err != nil || volume.Spec.ClaimRef == nil {
		return related(node, false, err)
	}
	return a.related(ctx, node, reference{volumeClaimKind, volume.Spec.ClaimRef.Namespace, volume.Spec.ClaimRef.Name})
}

// slice allows a node to publish devices under its name.
func (a *Authorizer) slice(ctx context.Context, node string, attrs authorizer.Attributes) verdict {
	if attrs.GetSubresource() != "" {
		return refuse("cannot authorize ResourceSlice subresources")
	}
	switch attrs.GetVerb() {
	case "create":
		return allow // of its own; admission checks
	case "get", "update", "patch", "delete":
		if attrs.GetName() == "" {
			return refuse("No Object name found")
		}
		slice, err := a.config.Client.ResourceV1().ResourceSlices().Get(ctx, attrs.GetName(), metav1.GetOptions{})
		return related(node, err == nil && slice.Spec.NodeName != nil && *slice.Spec.NodeName == node, err)
	case "list", "watch", "deletecollection":
		if selects(attrs, resourcev1.ResourceSliceSelectorNodeName, node) {
			return allow
		}
		return refuse("can only list/watch/deletecollection resourceslices with nodeName field selector")
	}
	return refuse("only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection")
}

// related is the answer about an object that was read for it. One that is not there is of
// no node.
func related(node string, is bool, err error) verdict {
	switch {
	case is:
		return allow
	case err != nil && !apierrors.IsNotFound(err):
		return verdict{err: err}
	}
	return refuse("no relationship found between node '%s' and this object", node)
}

// selects reports whether a request is limited to objects whose field has a value.
func selects(attrs authorizer.Attributes, field, value string) bool {
	requirements, _ := attrs.GetFieldSelector()
	return slices.ContainsFunc(requirements, func(r fields.Requirement) bool {
		return r.Field == field && r.Operator == selection.Equals && r.Value == value
	})
}
