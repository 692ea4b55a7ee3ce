package bootstrap

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// publicDiscovery is the binding that opens discovery documents and JWKS to
// everybody. It is ours and stands beside upstream's binding of the same role.
const publicDiscovery = "laterna.dev:public-service-account-issuer-discovery"

// pages is the role, and its binding, that lets all who have credentials look at the pages
// of the server, which carry no data. It is ours.
const pages = "laterna.dev:pages"

// aws is the role, and its binding, that lets everybody call STS and IAM: they verify their
// callers themselves, by tokens and signatures.
const aws = "laterna.dev:aws"

// KubeletClient is the user as whom the API server calls agents: it may use their
// endpoints and nothing else.
const KubeletClient = "system:kube-apiserver-kubelet-client"

// KubeProxy is the user as whom a node follows services: it may read them, their endpoints
// and nodes, and nothing else.
const KubeProxy = "system:kube-proxy"

// CoreDNS is the user as whom the DNS of a node reads, and its role.
const CoreDNS = "system:coredns"

const issuerDiscovery = "system:service-account-issuer-discovery"

func clusterBindings(o Options) []*rbacv1.ClusterRoleBinding {
	out := controllerBindings()
	for _, b := range []struct {
		name string
		to   []string
	}{
		{"cluster-admin", []string{"Group system:masters"}},
		{"system:monitoring", []string{"Group system:monitoring"}},
		{"system:discovery", []string{"Group system:authenticated"}},
		{pages, []string{"Group system:authenticated"}},
		{aws, []string{"Group system:authenticated", "Group system:unauthenticated"}},
		{"system:basic-user", []string{"Group system:authenticated"}},
		{"system:public-info-viewer", []string{"Group system:authenticated", "Group system:unauthenticated"}},
		{"system:node-proxier", []string{"User " + KubeProxy}},
		{"system:kube-controller-manager", []string{"User system:kube-controller-manager"}},
		{"system:kube-dns", []string{"ServiceAccount kube-system/kube-dns"}},
		{CoreDNS, []string{"User " + CoreDNS}},
		{scheduler, []string{"User " + scheduler}},
		{"system:volume-scheduler", []string{"User " + scheduler}},
		{"system:node", nil}, // nodes are the Node authorizer's
		{issuerDiscovery, []string{"Group system:serviceaccounts"}},
		{"system:cluster-trust-bundle-discovery", []string{"Group system:serviceaccounts"}},
	} {
		out = append(out, clusterBinding(b.name, b.name, b.to...))
	}
	out = append(out, clusterBinding(KubeletClient, "system:kubelet-api-admin", "User "+KubeletClient))
	if o.PublicDiscovery {
		out = append(out, clusterBinding(publicDiscovery, issuerDiscovery, "Group system:authenticated", "Group system:unauthenticated"))
	}
	return out
}

func clusterRoles(grants []Grant) []*rbacv1.ClusterRole {
	return build(slices.Concat(userRoles(grants), componentRoles(grants), certificateRoles(), controllerRoles()))
}

// systemRoles are the roles of kube-system.
func systemRoles() []*rbacv1.Role {
	return append(controllerSystemRoles(),
		systemRole("extension-apiserver-authentication-reader",
			on(read, "core", "configmaps", "extension-apiserver-authentication")),
		systemRole("system::leader-locking-kube-controller-manager",
			on("watch", "core", "configmaps"),
			on("get update", "core", "configmaps", "kube-controller-manager")),
		systemRole("system::leader-locking-kube-scheduler",
			on("watch", "core", "configmaps"),
			on("get update", "core", "configmaps", "kube-scheduler")),
	)
}

// systemBindings are the bindings of kube-system.
func systemBindings() []*rbacv1.RoleBinding {
	const manager, placer = "User system:kube-controller-manager", "User " + scheduler
	return append(controllerSystemBindings(),
		roleBinding("system::extension-apiserver-authentication-reader", "extension-apiserver-authentication-reader", manager, placer),
		roleBinding("system::leader-locking-kube-controller-manager", "system::leader-locking-kube-controller-manager",
			manager, "ServiceAccount kube-system/kube-controller-manager"),
		roleBinding("system::leader-locking-kube-scheduler", "system::leader-locking-kube-scheduler",
			placer, "ServiceAccount kube-system/kube-scheduler"),
	)
}
