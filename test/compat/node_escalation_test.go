package compat

import (
	"strings"
	"testing"
)

// jane may write roles and bindings of a namespace, read ConfigMaps there, bind one
// role, and be bob.
const jane = `
apiVersion: v1
kind: Namespace
metadata: {name: two}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: jane, namespace: two}
rules:
- {apiGroups: [rbac.authorization.k8s.io], resources: [roles, rolebindings], verbs: [get, list, create, update, patch, delete]}
- {apiGroups: [""], resources: [configmaps], verbs: [get]}
- {apiGroups: [rbac.authorization.k8s.io], resources: [roles], resourceNames: [bindable], verbs: [bind]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: jane, namespace: two}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: jane}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: jane}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: bindable, namespace: two}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: secrets, namespace: two}
rules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: be-bob}
rules: [{apiGroups: [""], resources: [users], resourceNames: [bob], verbs: [impersonate]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: jane-is-bob}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: be-bob}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: jane}]
---
apiVersion: v1
kind: Secret
metadata: {name: nobody, namespace: two}
stringData: {canary: canary-of-nobody}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: strong, namespace: two}
`

const (
	roles    = "/apis/rbac.authorization.k8s.io/v1/namespaces/two/roles"
	bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/two/rolebindings"
	held     = "is attempting to grant RBAC permissions not currently held"
)

// role and binding are objects to create.
func role(rules string) string {
	return "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: x}, rules: [" + rules + "]}"
}

func binding(kind, name string) string {
	return "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: x}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: " + kind + ", name: '" + name + "'}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: jane}]}"
}

// climbing tries to get more rights than are held.
var climbing = []attack{
	{request: "POST " + roles, body: role(`{apiGroups: [""], resources: [secrets], verbs: [get]}`), code: 403, reason: held},
	{request: "POST " + roles, body: role(`{apiGroups: [""], resources: [configmaps], verbs: ["*"]}`), code: 403, reason: held},
	{request: "POST " + roles, body: role(`{apiGroups: ["*"], resources: [configmaps], verbs: [get]}`), code: 403, reason: held},
	{request: "POST " + roles, body: role(`{apiGroups: [""], resources: ["*"], verbs: [get]}`), code: 403, reason: held},
	{request: "POST " + roles, body: role(`{apiGroups: [""], resources: [configmaps/status], verbs: [get]}`), code: 403, reason: held},
	{request: "POST " + roles, body: role(`{apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [escalate]}`), code: 403, reason: held},
	{request: "POST " + roles, body: role(`{apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [bind]}`), code: 403, reason: held},
	{request: "POST " + roles, body: role(`{apiGroups: [""], resources: [users], verbs: [impersonate]}`), code: 403, reason: held},
	{request: "PATCH " + roles + "/jane", body: `{"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]}`, code: 403, reason: held},
	{request: "PATCH " + roles + "/bindable", body: `{"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]}`, code: 403, reason: held},
	{request: "POST " + bindings, body: binding("Role", "secrets"), code: 403, reason: held},
	{request: "POST " + bindings, body: binding("ClusterRole", "cluster-admin"), code: 403, reason: held},
	{request: "POST " + bindings, body: binding("ClusterRole", "view"), code: 403, reason: held},
	{request: "POST " + bindings, body: binding("Role", "missing"), code: 404, reason: `"missing" not found`},
	{request: "POST " + bindings, body: binding("ClusterRole", "../roles/bindable"), code: 404, reason: "not found"},
	{request: "POST " + strings.Replace(bindings, "two", "default", 1), body: binding("ClusterRole", "view"), code: 403, reason: `cannot create resource "rolebindings"`},
	{request: "PATCH " + bindings + "/jane", body: `{"roleRef":{"name":"secrets"}}`, code: 403, reason: held},
	{request: "POST " + rbacs + "/clusterroles", body: "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: x}, aggregationRule: {clusterRoleSelectors: [{}]}}", code: 403, reason: `cannot create resource "clusterroles"`},
	{request: "POST " + rbacs + "/clusterrolebindings", body: "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: x}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}", code: 403, reason: `cannot create resource "clusterrolebindings"`},
	{request: "GET " + two + "/secrets/nobody", code: 403, reason: `cannot get resource "secrets"`},
	{request: "GET " + two + "/configmaps/..%2fsecrets%2fnobody", code: 403, reason: `cannot get resource "configmaps/secrets"`},
	{request: "GET /api/v1/namespaces/two%2f..%2fdefault/configmaps/kube-root-ca.crt", code: 403, reason: "forbidden"},
	{request: "GET /api/v1/namespaces/tw%c3%b3/configmaps/kube-root-ca.crt", code: 403, reason: `in the namespace "twó"`},
	{request: "GET /api/v1/namespaces/%ef%bd%94wo/configmaps/kube-root-ca.crt", code: 403, reason: "forbidden"},
	{request: "GET " + two + "/configmaps", code: 403, reason: `cannot list resource "configmaps"`},
	{request: "POST " + two + "/serviceaccounts/strong/token", body: "{apiVersion: authentication.k8s.io/v1, kind: TokenRequest}", code: 403, reason: `cannot create resource "serviceaccounts/token"`},
	{request: "POST /encryption/v1/rewrite", code: 403, reason: `cannot post path "/encryption/v1/rewrite"`},
	{request: "GET " + two + "/configmaps/kube-root-ca.crt", headers: []string{"Impersonate-User", "alice"}, code: 403, reason: `User "jane" cannot impersonate`},
	{request: "GET " + two + "/configmaps/kube-root-ca.crt", headers: []string{"Impersonate-User", "bob", "Impersonate-Group", "system:masters"}, code: 403, reason: `User "jane" cannot impersonate`},
	{request: "GET " + two + "/configmaps/kube-root-ca.crt", headers: []string{"Impersonate-User", "bob", "Impersonate-Extra-Scopes", "x"}, code: 403, reason: `User "jane" cannot impersonate`},
	{request: "GET " + two + "/configmaps/kube-root-ca.crt", headers: []string{"Impersonate-User", "bob", "Impersonate-Uid", "1"}, code: 403, reason: `User "jane" cannot impersonate`},
	{request: "GET " + two + "/configmaps/kube-root-ca.crt", headers: []string{"Impersonate-Group", "system:masters"}, code: 400, reason: "without impersonating a user name"},
	{request: "GET " + two + "/configmaps/kube-root-ca.crt", headers: []string{"Impersonate-User", "bob"}, code: 403, reason: `User "bob" cannot get resource "configmaps"`},
	{request: "GET " + two + "/configmaps/kube-root-ca.crt", headers: []string{"Impersonate-User", "system:serviceaccount:two:strong"}, code: 403, reason: `User "jane" cannot impersonate`},
}

func TestB23Escalation(t *testing.T) {
	s := started(t, "--node=false")
	s.apply(t, "two", jane)
	s.sh(t, "kubectl wait -n two --for=create configmap/kube-root-ca.crt --timeout=20s")
	me := s.caller(t, "jane")
	if code, said := me.do(t, "GET "+two+"/configmaps/kube-root-ca.crt", ""); code != 200 {
		t.Fatalf("what jane may do: %d %s", code, said)
	}
	if code, said := me.do(t, "POST "+bindings, strings.Replace(binding("Role", "bindable"), "name: x", "name: allowed", 1)); code != 201 {
		t.Errorf("binding what may be bound: %d %s", code, said)
	}
	me.try(t, climbing, strings.NewReplacer())
	if said := s.fails(t, "kubectl auth can-i get secrets -n two --as=jane"); !strings.Contains(said, "no") {
		t.Errorf("in the end: %s", said)
	}
}
