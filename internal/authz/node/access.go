package node

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Access is how nodes are kept to their own objects of a kind.
type Access int

const (
	// ByRole lets all nodes do what role system:node says with all objects.
	ByRole Access = iota
	// Referenced lets a node read, by name, the objects that pods of its own refer to.
	Referenced
	// Accounts lets a node read and follow the service accounts of its pods, and ask for
	// their tokens.
	Accounts
	// Itself lets a node read and write the Node of its name.
	Itself
	// OwnPods lets a node read the pods that are bound to it, and report on them.
	OwnPods
	// OwnLease lets a node hold the lease of its name.
	OwnLease
	// OwnCSINode lets a node say, under its name, which storage drivers it has.
	OwnCSINode
	// OwnRequests lets a node ask for what pods of its own need, and follow what it asked for.
	OwnRequests
	// Claimed lets a node read, one by one, the claims of devices that its pods have.
	Claimed
	// Bound lets a node read, one by one, the volumes that are bound to claims of its pods.
	Bound
	// OwnAttachments lets a node read, one by one, which volumes are attached to it.
	OwnAttachments
	// OwnSlices lets a node say which devices it has.
	OwnSlices
	// NamedAfterOwnPods lets a node read and write the objects that have the names of
	// its pods.
	NamedAfterOwnPods
)

// foreign tells whether a resource is out of bounds as long as Config.Kinds does not have
// it: role system:node names it, but upstream narrows that by references which nobody
// keeps here.
func foreign(r schema.GroupResource) bool {
	switch r {
	case schema.GroupResource{Group: "certificates.k8s.io", Resource: "podcertificaterequests"},
		schema.GroupResource{Group: "resource.k8s.io", Resource: "resourceclaims"},
		schema.GroupResource{Group: "resource.k8s.io", Resource: "resourceslices"},
		schema.GroupResource{Group: "storage.k8s.io", Resource: "volumeattachments"},
		schema.GroupResource{Group: "storage.k8s.io", Resource: "csinodes"},
		corev1.Resource("persistentvolumes"),
		corev1.Resource("persistentvolumeclaims"):
		return true
	}
	return false
}
