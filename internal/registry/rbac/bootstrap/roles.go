package bootstrap

import rbacv1 "k8s.io/api/rbac/v1"

// userRoles are for people and workloads, and for finding out about the server.
func userRoles(grants []Grant) []clusterRole {
	return []clusterRole{
		{name: "cluster-admin", rules: []rbacv1.PolicyRule{on("*", "*", "*"), at("*", "*")}},
		{name: "system:discovery", rules: []rbacv1.PolicyRule{
			at("get", "/livez /readyz /healthz /version /version/ /openapi /openapi/* /api /api/* /apis /apis/*"),
		}},
		{name: "system:monitoring", rules: []rbacv1.PolicyRule{
			at("get", "/metrics /metrics/slis /livez /readyz /healthz /livez/* /readyz/* /healthz/*"),
			on("get", "core", "nodes/metrics"),
		}},
		{name: "system:basic-user", rules: []rbacv1.PolicyRule{
			on("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
			on("create", "authentication.k8s.io", "selfsubjectreviews"),
		}},
		{name: "system:public-info-viewer", rules: []rbacv1.PolicyRule{
			at("get", "/livez /readyz /healthz /version /version/"),
		}},
		{name: "system:service-account-issuer-discovery", rules: []rbacv1.PolicyRule{
			at("get", "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/"),
		}},
		{name: "system:cluster-trust-bundle-discovery", rules: []rbacv1.PolicyRule{
			on(read, "certificates.k8s.io", "clustertrustbundles"),
		}},
		{name: "admin", aggregate: "admin"},
		{name: "edit", aggregate: "edit", aggregatesTo: "admin"},
		{name: "view", aggregate: "view", aggregatesTo: "edit"},
		{name: "system:aggregate-to-admin", aggregatesTo: "admin", rules: []rbacv1.PolicyRule{
			on("create", "authorization.k8s.io", "localsubjectaccessreviews"),
			on(readWrite, rbacv1.GroupName, "roles rolebindings"),
		}},
		{name: "system:aggregate-to-edit", aggregatesTo: "edit", rules: editRules()},
		{name: "system:aggregate-to-view", aggregatesTo: "view", rules: viewRules()},
		{name: pages, rules: []rbacv1.PolicyRule{
			at("get", "/swagger-ui /swagger-ui/* /swagger.json /swaggerapi /projections /projections/*"),
		}},
		{name: aws, rules: []rbacv1.PolicyRule{at("get post", "/aws /aws/")}},
		{name: "laterna.dev:aggregate-to-edit", aggregatesTo: "edit", rules: granted(grants, func(g Grant) string { return g.Edit })},
		{name: "laterna.dev:aggregate-to-view", aggregatesTo: "view", rules: granted(grants, func(g Grant) string { return g.View })},
	}
}

func viewRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		on(read, "core", "pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status endpoints persistentvolumeclaims persistentvolumeclaims/status configmaps"),
		on(read, "core", "limitranges resourcequotas bindings pods/status resourcequotas/status namespaces/status replicationcontrollers/status pods/log"),
		on(read, "core", "namespaces"),
		on(read, "core events.k8s.io", "events"),
		on(read, "discovery.k8s.io", "endpointslices"),
		on(read, "apps", "controllerrevisions statefulsets statefulsets/status statefulsets/scale daemonsets daemonsets/status deployments deployments/status deployments/scale replicasets replicasets/status replicasets/scale"),
		on(read, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
		on(read, "batch", "jobs cronjobs cronjobs/status jobs/status"),
		on(read, "extensions", "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status replicasets replicasets/scale replicasets/status replicationcontrollers/scale networkpolicies"),
		on(read, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
		on(read, "networking.k8s.io", "networkpolicies ingresses ingresses/status"),
		on(read, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
	}
}

func editRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		on(read, "core", "pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy"),
		on("impersonate", "core", "serviceaccounts"),
		on(write, "core", "pods pods/attach pods/proxy pods/exec pods/portforward"),
		on("get patch update", "core", "pods/resize"),
		on("create", "core", "pods/eviction"),
		on(write, "core", "replicationcontrollers replicationcontrollers/scale serviceaccounts services services/proxy persistentvolumeclaims configmaps secrets"),
		on("create", "core", "serviceaccounts/token"),
		on(write, "core events.k8s.io", "events"),
		on(write, "apps", "statefulsets statefulsets/scale daemonsets deployments deployments/scale deployments/rollback replicasets replicasets/scale"),
		on(write, "autoscaling", "horizontalpodautoscalers"),
		on(write, "batch", "jobs cronjobs"),
		on(write, "extensions", "daemonsets deployments deployments/scale deployments/rollback ingresses replicasets replicasets/scale replicationcontrollers/scale networkpolicies"),
		on(write, "policy", "poddisruptionbudgets"),
		on(write, "networking.k8s.io", "networkpolicies ingresses"),
		on(readWrite, "coordination.k8s.io", "leases"),
		on(write, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
	}
}

// certificateRoles are for signing and approving certificate requests.
func certificateRoles() []clusterRole {
	out := []clusterRole{}
	for _, kind := range []string{"nodeclient", "selfnodeclient"} {
		out = append(out, clusterRole{name: "system:certificates.k8s.io:certificatesigningrequests:" + kind, rules: []rbacv1.PolicyRule{
			on("create", "certificates.k8s.io", "certificatesigningrequests/"+kind),
		}})
	}
	for _, signer := range []string{"legacy-unknown", "kubelet-serving", "kube-apiserver-client", "kube-apiserver-client-kubelet"} {
		out = append(out, clusterRole{name: "system:certificates.k8s.io:" + signer + "-approver", rules: []rbacv1.PolicyRule{
			on("approve", "certificates.k8s.io", "signers", "kubernetes.io/"+signer),
		}})
	}
	return out
}
