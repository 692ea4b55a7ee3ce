package bootstrap

import (
	rbacv1 "k8s.io/api/rbac/v1"
)

// workloadControllers are those of what keeps pods running, and of how they are found.
func workloadControllers() []controller {
	return []controller{
		{name: "cronjob-controller", rules: []rbacv1.PolicyRule{
			on("update", "batch", "cronjobs/status"),
			on("get create delete", "batch", "jobs"),
			events(),
		}},
		{name: "daemon-set-controller", rules: []rbacv1.PolicyRule{
			on("get", "apps", "daemonsets"),
			on("update", "apps", "daemonsets/finalizers daemonsets/status"),
			on("create delete patch", "core", "pods"),
			on("get create update patch delete", "apps", "controllerrevisions"),
			events(),
		}},
		{name: "deployment-controller", rules: []rbacv1.PolicyRule{
			on("get update", "apps", "deployments"),
			on("update", "apps", "deployments/finalizers deployments/status"),
			on("get create update patch delete", "apps", "replicasets"),
			events(),
		}},
		{name: "disruption-controller", rules: []rbacv1.PolicyRule{
			on("get", "apps", "replicasets"),
			on("get", "*", "*/scale"),
			on("update", "policy", "poddisruptionbudgets/status"),
			on("patch", "core", "pods/status"),
			events(),
		}},
		{name: "endpoint-controller", rules: []rbacv1.PolicyRule{
			on("create update delete", "core", "endpoints"),
			events(),
		}},
		{name: "endpointslice-controller", rules: keepSlices()},
		{name: "endpointslicemirroring-controller", rules: keepSlices()},
		{name: "job-controller", rules: []rbacv1.PolicyRule{
			on("get", "batch", "jobs"),
			on("update", "batch", "jobs/status"),
			on("create delete patch", "core", "pods"),
			events(),
		}},
		{name: "replicaset-controller", rules: []rbacv1.PolicyRule{
			on("get", "apps", "replicasets"),
			on("update", "apps", "replicasets/finalizers replicasets/status"),
			on("create delete patch", "core", "pods"),
			events(),
		}},
		{name: "replication-controller", rules: []rbacv1.PolicyRule{
			on("get", "core", "replicationcontrollers"),
			on("update", "core", "replicationcontrollers/finalizers replicationcontrollers/status"),
			on("create delete patch", "core", "pods"),
			events(),
		}},
		{name: "resourcequota-controller", rules: []rbacv1.PolicyRule{
			on("update", "core", "resourcequotas/status"),
			// Quotas limit objects of whatever kinds there are.
			on("list watch", "*", "*"),
		}},
		{name: "rollout-on-change-controller",
			rules: []rbacv1.PolicyRule{
				on("patch", "apps", "daemonsets deployments statefulsets"),
				// Those that count for a workload are followed one by one, wherever it is.
				on("list watch", "core", "configmaps secrets"),
				events(),
			},
			system: []rbacv1.PolicyRule{on("get", "core", "secrets", contentDigests)}},
		{name: "statefulset-controller", rules: []rbacv1.PolicyRule{
			on("get", "apps", "statefulsets"),
			on("update", "apps", "statefulsets/finalizers statefulsets/status"),
			on("create update patch delete", "core", "pods"),
			on("get create update patch delete", "apps", "controllerrevisions"),
			on("create update", "core", "persistentvolumeclaims"),
			events(),
		}},
		{name: "ttl-after-finished-controller", rules: []rbacv1.PolicyRule{
			on("get delete", "batch", "jobs"),
		}},
	}
}
