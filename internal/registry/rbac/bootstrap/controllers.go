package bootstrap

import (
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "laterna.dev/laterna/api/config/v1"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
)

// The controllers of this process are service accounts of kube-system, each with a
// role of its own; the scheduler is a user. The names are upstream's.
const (
	controllerPrefix = "system:controller:"
	scheduler        = "system:kube-scheduler"
)

// certificates is the group of requests for certificates.
const certificates = "certificates.k8s.io"

// ours tells whether a role or binding is one that the process's own controllers
// wait for.
func ours(name string) bool { return strings.HasPrefix(name, controllerPrefix) || name == scheduler }

// controller is one line of the table: what a service account of kube-system may do
// everywhere, and what it may do in kube-system.
type controller struct {
	name   string
	rules  []rbacv1.PolicyRule
	system []rbacv1.PolicyRule
}

// Objects that a controller keeps in kube-system or in every namespace.
const (
	rootCertificates = "kube-root-ca.crt"
	tokenTracking    = "kube-apiserver-legacy-service-account-token-tracking"
	testClock        = "laterna-test-clock"
	contentDigests   = "laterna-content-digests"
	clusterDNS       = "kube-dns"
)

// controllers lists what each controller does, and nothing that it does not: where
// upstream has a controller of that name, these are rules of its role. What several
// controllers read comes from caches that are filled as shared-informers.
func controllers() []controller {
	return slices.Concat(systemControllers(), answeringControllers(), workloadControllers())
}

// answeringControllers are those that answer what users ask for.
func answeringControllers() []controller {
	return []controller{
		{name: "certificate-controller", rules: []rbacv1.PolicyRule{
			on("list watch delete", certificates, "certificatesigningrequests"),
			on("update", certificates, "certificatesigningrequests/approval certificatesigningrequests/status"),
			on("approve", certificates, "signers", "kubernetes.io/kube-apiserver-client-kubelet"),
			on("sign", certificates, "signers", "kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"),
			on("create", "authorization.k8s.io", "subjectaccessreviews"),
		}},
		{name: "validatingadmissionpolicy-status-controller", rules: []rbacv1.PolicyRule{
			on("list watch", admissionregistrationv1.GroupName, "validatingadmissionpolicies"),
			on("update", admissionregistrationv1.GroupName, "validatingadmissionpolicies/status"),
		}},
	}
}

// systemControllers are those that keep the system, and what is in it, in order.
func systemControllers() []controller {
	return []controller{
		{name: "shared-informers", rules: []rbacv1.PolicyRule{
			on("list watch", "core", "endpoints namespaces nodes persistentvolumeclaims pods replicationcontrollers serviceaccounts services"),
			on("list watch", "apps", "controllerrevisions daemonsets deployments replicasets statefulsets"),
			on("list watch", "batch", "cronjobs jobs"),
			on("list watch", "coordination.k8s.io", "leases"),
			on("list watch", "discovery.k8s.io", "endpointslices"),
			on("list watch", "networking.k8s.io", "ipaddresses servicecidrs"),
			on("list watch", rbacv1.GroupName, "clusterroles"),
			on("list watch", "policy", "poddisruptionbudgets"),
		}},
		{name: "clusterrole-aggregation-controller", rules: []rbacv1.PolicyRule{
			// An aggregated role holds rules that this account does not have itself.
			on("escalate update", rbacv1.GroupName, "clusterroles"),
		}},
		{name: "generic-garbage-collector", rules: []rbacv1.PolicyRule{
			// Anything may own anything.
			on("get list watch patch delete", "*", "*"),
			events(),
		}},
		{name: "namespace-controller", rules: []rbacv1.PolicyRule{
			on("get", "core", "namespaces"),
			on("update", "core", "namespaces/finalize namespaces/status"),
			// A namespace is emptied of whatever kinds there are.
			on("list delete deletecollection", "*", "*"),
		}},
		{name: "node-controller", rules: []rbacv1.PolicyRule{
			on("update", "core", "nodes nodes/status"),
		}},
		{name: "pod-garbage-collector", rules: []rbacv1.PolicyRule{
			on("get", "core", "nodes"),
			on("delete", "core", "pods"),
			on("patch", "core", "pods/status"),
			events(),
		}},
		{name: "cluster-dns-controller", system: []rbacv1.PolicyRule{
			on("create", "core", "services"),
			on("update delete", "core", "services", clusterDNS),
			on("delete", "core", "endpoints", clusterDNS),
			on("create update delete", "discovery.k8s.io", "endpointslices"),
		}},
		{name: "root-ca-cert-publisher", rules: []rbacv1.PolicyRule{
			on("create", "core", "configmaps"), // a new object's name is not known to rules
			on("list watch update delete", "core", "configmaps", rootCertificates),
		}},
		{name: "service-account-controller", rules: []rbacv1.PolicyRule{
			on("create", "core", "serviceaccounts"),
		}},
		{name: "service-account-token-controller",
			rules: []rbacv1.PolicyRule{
				on("get list watch create update patch delete", "core", "secrets"),
				on("get update", "core", "serviceaccounts"),
				events(),
			},
			system: trackedIn(tokenTracking, "get list watch update")},
		{name: "service-cidrs-controller", rules: []rbacv1.PolicyRule{
			on("update", "networking.k8s.io", "servicecidrs servicecidrs/status"),
		}},
		{name: "taint-eviction-controller", rules: []rbacv1.PolicyRule{
			on("delete", "core", "pods"),
			on("patch", "core", "pods/status"),
			events(),
		}},
		{name: "testclock-controller", system: trackedIn(testClock, "list watch patch")},
		{name: "tokenissuer-controller", rules: []rbacv1.PolicyRule{
			on("get list watch create", configv1.GroupName, configv1.Authentications.Resource),
			on("get list watch create", operatorv1.GroupName, operatorv1.KubeAPIServers.Resource),
			on("update", operatorv1.GroupName, operatorv1.KubeAPIServers.Resource+"/status"),
			events(),
		}},
	}
}

// keepSlices are the rules for keeping EndpointSlices.
func keepSlices() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		on("create update delete", "discovery.k8s.io", "endpointslices"),
		events(),
	}
}

// trackedIn are the rules for one ConfigMap that a controller makes and keeps.
func trackedIn(name, verbs string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{on("create", "core", "configmaps"), on(verbs, "core", "configmaps", name)}
}

// account is the subject that a controller acts as.
func (c controller) account() string {
	return rbacv1.ServiceAccountKind + " " + metav1.NamespaceSystem + "/" + c.name
}

func controllerRoles() (table []clusterRole) {
	for _, c := range controllers() {
		if len(c.rules) > 0 {
			table = append(table, clusterRole{name: controllerPrefix + c.name, rules: c.rules})
		}
	}
	return table
}

func controllerBindings() (all []*rbacv1.ClusterRoleBinding) {
	for _, c := range controllers() {
		if len(c.rules) > 0 {
			all = append(all, clusterBinding(controllerPrefix+c.name, controllerPrefix+c.name, c.account()))
		}
	}
	return all
}

func controllerSystemRoles() (all []*rbacv1.Role) {
	for _, c := range controllers() {
		if len(c.system) > 0 {
			all = append(all, systemRole(controllerPrefix+c.name, c.system...))
		}
	}
	return all
}

func controllerSystemBindings() (all []*rbacv1.RoleBinding) {
	for _, c := range controllers() {
		if len(c.system) > 0 {
			all = append(all, roleBinding(controllerPrefix+c.name, controllerPrefix+c.name, c.account()))
		}
	}
	return all
}
