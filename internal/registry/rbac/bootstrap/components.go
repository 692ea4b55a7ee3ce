package bootstrap

import rbacv1 "k8s.io/api/rbac/v1"

// NodeRules are what any node may do, whatever runs on it. The Node authorizer and
// the NodeRestriction admission narrow them to the node's own objects.
func NodeRules(grants []Grant) []rbacv1.PolicyRule {
	return append([]rbacv1.PolicyRule{
		on("create", "authentication.k8s.io", "tokenreviews"),
		on("create", "authorization.k8s.io", "subjectaccessreviews localsubjectaccessreviews"),
		on(read, "core", "services"),
		on("create get list watch", "core", "nodes"),
		on("update patch", "core", "nodes/status"),
		on("update patch", "core", "nodes"),
		on("create update patch", "core events.k8s.io", "events"),
		on(read, "core", "pods"),
		on("create delete", "core", "pods"),
		on("update patch", "core", "pods/status"),
		on("create", "core", "pods/eviction"),
		on(read, "core", "secrets configmaps"),
		on("get", "core", "persistentvolumeclaims persistentvolumes"),
		on("get", "core", "endpoints"),
		on("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
		on("get create update patch delete", "coordination.k8s.io", "leases"),
		on("get", "storage.k8s.io", "volumeattachments"),
		on("create", "core", "serviceaccounts/token"),
		on("get update patch", "core", "persistentvolumeclaims/status"),
		on(read, "storage.k8s.io", "csidrivers"),
		on("get create update patch delete", "storage.k8s.io", "csinodes"),
		on(read, "node.k8s.io", "runtimeclasses"),
		on("get", "resource.k8s.io", "resourceclaims"),
		on("deletecollection", "resource.k8s.io", "resourceslices"),
		on(read, "certificates.k8s.io", "clustertrustbundles"),
		on("get", "core", "serviceaccounts"),
		on("get list watch create", "certificates.k8s.io", "podcertificaterequests"),
	}, granted(grants, func(g Grant) string { return g.Node })...)
}

// componentRoles are for the parts of a cluster that run outside the server.
func componentRoles(grants []Grant) []clusterRole {
	return []clusterRole{
		{name: "system:node", rules: NodeRules(grants)},
		{name: "system:node-problem-detector", rules: []rbacv1.PolicyRule{
			on("get", "core", "nodes"), on("patch", "core", "nodes/status"), events(),
		}},
		{name: "system:node-bootstrapper", rules: []rbacv1.PolicyRule{
			on("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
		}},
		{name: "system:node-proxier", rules: []rbacv1.PolicyRule{
			on("list watch", "core", "services endpoints"),
			on(read, "core", "nodes"),
			events(),
			on("list watch", "networking.k8s.io", "servicecidrs"),
			on("list watch", "discovery.k8s.io", "endpointslices"),
		}},
		{name: "system:kubelet-api-admin", rules: []rbacv1.PolicyRule{
			on(read, "core", "nodes"),
			on("proxy", "core", "nodes"),
			on("*", "core", "nodes/proxy nodes/metrics nodes/stats nodes/log"),
			on("*", "core", "nodes/pods nodes/healthz nodes/configz"),
		}},
		{name: "system:auth-delegator", rules: []rbacv1.PolicyRule{
			on("create", "authentication.k8s.io", "tokenreviews"),
			on("create", "authorization.k8s.io", "subjectaccessreviews"),
		}},
		{name: "system:kube-aggregator", rules: []rbacv1.PolicyRule{on(read, "core", "services endpoints")}},
		{name: "system:kube-dns", rules: []rbacv1.PolicyRule{on("list watch", "core", "endpoints services")}},
		// Upstream's add-on brings this role; pods are read only where names of pods are checked,
		// Endpoints only by servers of before there were slices.
		{name: CoreDNS, rules: []rbacv1.PolicyRule{
			on("list watch", "core", "namespaces services"),
			on("list watch", "discovery.k8s.io", "endpointslices"),
		}},
		{name: "system:heapster", rules: []rbacv1.PolicyRule{
			on(read, "core", "events pods nodes namespaces"), on(read, "extensions", "deployments"),
		}},
		{name: "system:persistent-volume-provisioner", rules: []rbacv1.PolicyRule{
			on("get list watch create delete", "core", "persistentvolumes"),
			on("get list watch update", "core", "persistentvolumeclaims"),
			on(read, "storage.k8s.io", "storageclasses"),
			on("watch", "core", "events"),
			events(),
		}},
		{name: "system:volume-scheduler", rules: []rbacv1.PolicyRule{
			on(readPatch, "core", "persistentvolumes"),
			on(read, "storage.k8s.io", "storageclasses"),
			on(readPatch, "core", "persistentvolumeclaims"),
		}},
		{name: "system:kube-controller-manager", rules: controllerManagerRules()},
		{name: scheduler, rules: schedulerRules()},
	}
}

func controllerManagerRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		events(),
		on("create", "coordination.k8s.io", "leases"),
		on("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
		on("create", "core", "secrets serviceaccounts"),
		on("delete", "core", "secrets"),
		on("get", "core", "namespaces secrets serviceaccounts configmaps"),
		on("update", "core", "secrets serviceaccounts"),
		on("create", "authentication.k8s.io", "tokenreviews"),
		on("create", "authorization.k8s.io", "subjectaccessreviews"),
		on("list watch", "*", "*"),
		on("create", "core", "serviceaccounts/token"),
	}
}

func schedulerRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		events(),
		on("create", "coordination.k8s.io", "leases"),
		on("get update list watch", "coordination.k8s.io", "leases", "kube-scheduler"),
		on(readWrite, "coordination.k8s.io", "leasecandidates"),
		on(read, "core", "nodes"),
		on("get list watch delete", "core", "pods"),
		on("create", "core", "pods/binding bindings"),
		on("patch update", "core", "pods/status"),
		on(read, "core", "services replicationcontrollers"),
		on(read, "apps extensions", "replicasets"),
		on(read, "apps", "statefulsets"),
		on(read, "policy", "poddisruptionbudgets"),
		on(read, "core", "persistentvolumeclaims persistentvolumes"),
		on("create", "authentication.k8s.io", "tokenreviews"),
		on("create", "authorization.k8s.io", "subjectaccessreviews"),
		on(read, "storage.k8s.io", "csinodes"),
		on(read, "storage.k8s.io", "volumeattachments"),
		on(read, "core", "namespaces"),
		on(read, "storage.k8s.io", "csidrivers"),
		on(read, "storage.k8s.io", "csistoragecapacities"),
		on(read, "resource.k8s.io", "deviceclasses"),
		on(readPatch, "resource.k8s.io", "resourceclaims"),
		on(readPatch, "resource.k8s.io", "resourceclaims/status"),
		on("update", "core", "pods/finalizers"),
		on(read, "resource.k8s.io", "resourceslices"),
	}
}
