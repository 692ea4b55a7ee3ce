package apiservice

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Priority is where a group, and a version in its group, comes where clients are given the
// name of a kind alone: the greater first.
type Priority struct{ Group, Version int32 }

// customPriority is that of custom resources.
var customPriority = Priority{1000, 100}

// Ours come behind all others: "kubectl get roles" asks for those of RBAC, not of IAM.
const (
	ourGroups = ".laterna.dev"
	ours      = 100
	// platform is what Kubernetes recommends to platforms that add to it.
	platform = 2000
	// registration is the group of this kind, which says itself where it comes.
	registration = 20000
	usual        = 15
)

// PriorityOf returns where a group-version of the server's own comes, as in Kubernetes.
func PriorityOf(gv schema.GroupVersion) Priority {
	if strings.HasSuffix(gv.Group, ourGroups) {
		return Priority{ours, usual}
	}
	p := Priority{platform, usual}
	switch gv.Group {
	case "":
		return Priority{18000, 1}
	case Version.Group:
		p.Group = registration
	case "apps":
		p.Group = 17800
	case "events.k8s.io":
		p.Group = 17750
	case "authentication.k8s.io":
		p.Group = 17700
	case "authorization.k8s.io":
		p.Group = 17600
	case "autoscaling":
		p.Group = 17500
	case "batch":
		p.Group = 17400
	case "certificates.k8s.io":
		p.Group = 17300
	case "networking.k8s.io":
		p.Group = 17200
	case "policy":
		p.Group = 17100
	case "rbac.authorization.k8s.io":
		p.Group = 17000
	case "storage.k8s.io":
		p.Group = 16800
	case "apiextensions.k8s.io", "admissionregistration.k8s.io":
		p.Group = 16700
	case "scheduling.k8s.io":
		p.Group = 16600
	case "coordination.k8s.io":
		p.Group = 16500
	case "node.k8s.io":
		p.Group = 16300
	case "discovery.k8s.io":
		p.Group = 16200
	case "flowcontrol.apiserver.k8s.io":
		p.Group = 16100
	case "resource.k8s.io":
		p.Group = 15900
	case "storagemigration.k8s.io":
		p.Group = 15800
	}
	if gv.Version == "v2" {
		p.Version = 30
	}
	return p
}
