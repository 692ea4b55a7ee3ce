package compat

import (
	"strings"
	"testing"
)

// attack is a request that must be refused.
type attack struct {
	request, body string
	// code and reason are what the server must answer.
	code   int
	reason string
	// headers are names and values in turn.
	headers []string
}

const (
	unrelated = "no relationship found between node 'a' and this object"
	byName    = "No Object name found"
	two       = "/api/v1/namespaces/two"
	leases    = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
	shows     = "/apis/projection.laterna.dev/v1alpha1/namespaces/two/podprojections"
	rbacs     = "/apis/rbac.authorization.k8s.io/v1"
)

// reading tries to read what pods on other nodes use.
var reading = []attack{
	{request: "GET " + two + "/secrets/s-b", code: 403, reason: unrelated},
	{request: "GET " + two + "/secrets/nobody", code: 403, reason: unrelated},
	{request: "GET " + two + "/secrets/missing", code: 403, reason: unrelated},
	{request: "GET " + two + "/configmaps/c-b", code: 403, reason: unrelated},
	{request: "GET " + two + "/pods/pod-b", code: 403, reason: unrelated},
	{request: "GET " + two + "/pods/pending", code: 403, reason: unrelated},
	{request: "GET " + two + "/serviceaccounts/sa-b", code: 403, reason: unrelated},
	{request: "GET " + shows + "/pod-b", code: 403, reason: unrelated},
	{request: "GET /api/v1/nodes/b", code: 403, reason: "node 'a' cannot read 'b', only its own Node object"},
	{request: "GET /api/v1/nodes", code: 403, reason: "node 'a' cannot read all nodes, only its own Node object"},
	{request: "GET /api/v1/nodes?watch=true", code: 403, reason: "node 'a' cannot read all nodes"},
	{request: "GET /api/v1/nodes?fieldSelector=metadata.name%3Db", code: 403, reason: "node 'a' cannot read 'b'"},
	{request: "GET " + leases + "/b", code: 403, reason: "can only access node lease with the same name as the requesting node"},
	{request: "GET " + leases, code: 403, reason: "can only get, create, update, patch, or delete a node lease"},

	{request: "GET " + two + "/secrets", code: 403, reason: byName},
	{request: "GET /api/v1/secrets", code: 403, reason: "can only read namespaced object of this type"},
	{request: "GET /api/v1/configmaps", code: 403, reason: "can only read namespaced object of this type"},
	{request: "GET /api/v1/secrets?fieldSelector=metadata.name%3Ds-a", code: 403, reason: "can only read namespaced object of this type"},
	{request: "GET /api/v1/secrets?fieldSelector=metadata.namespace%3Dtwo,metadata.name%3Ds-a", code: 403, reason: "can only read namespaced object of this type"},
	{request: "GET " + two + "/secrets?labelSelector=team%3Dx", code: 403, reason: byName},
	{request: "GET " + two + "/secrets?fieldSelector=metadata.name%3Ds-b", code: 403, reason: unrelated},
	{request: "GET " + two + "/secrets?fieldSelector=metadata.name!%3Ds-a", code: 403, reason: byName},
	{request: "GET " + two + "/secrets?fieldSelector=type%3DOpaque", code: 403, reason: byName},
	{request: "GET " + two + "/secrets?fieldSelector=metadata.name%3Ds-b&watch=true", code: 403, reason: unrelated},
	{request: "GET /api/v1/watch/namespaces/two/secrets/s-b", code: 403, reason: unrelated},
	{request: "GET /api/v1/watch/namespaces/two/secrets", code: 403, reason: byName},
	{request: "GET /api/v1/watch/secrets", code: 403, reason: "can only read namespaced object of this type"},
	{request: "GET " + two + "/secrets?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", code: 403, reason: byName},
	{request: "GET " + two + "/secrets?limit=1", code: 403, reason: byName},
	{request: "GET " + two + "/configmaps?labelSelector=team%3Dx&watch=1", code: 403, reason: byName},
	{request: "GET " + two + "/serviceaccounts", code: 403, reason: "can only create tokens for individual service accounts"},
	{request: "GET /api/v1/pods", code: 403, reason: "can only list/watch pods with spec.nodeName field selector"},
	{request: "GET /api/v1/pods?fieldSelector=spec.nodeName%3Db", code: 403, reason: "can only list/watch pods with spec.nodeName field selector"},
	{request: "GET /api/v1/pods?fieldSelector=spec.nodeName!%3Da", code: 403, reason: "can only list/watch pods with spec.nodeName field selector"},
	{request: "GET /api/v1/pods?fieldSelector=spec.nodeName%3D&watch=1", code: 403, reason: "can only list/watch pods with spec.nodeName field selector"},
	{request: "GET " + shows, code: 403, reason: "can only get, create, update, patch, or delete individual pod projections"},
	{request: "GET " + shows + "?fieldSelector=metadata.name%3Dpod-a", code: 403, reason: "can only get, create, update, patch, or delete individual pod projections"},
	{request: "GET /apis/identity.laterna.dev/v1alpha1/signingkeys", code: 403, reason: `cannot list resource "signingkeys"`},
	{request: "GET /openid/v1/issuers", code: 403, reason: `cannot get path "/openid/v1/issuers"`},
	{request: "GET /encryption/v1", code: 403, reason: `cannot get path "/encryption/v1"`},
	{request: "GET " + two + "/pods/pod-b/log", code: 403, reason: `cannot get resource "pods/log"`},
	{request: "GET " + two + "/pods/pod-b/status", code: 403, reason: `cannot get resource "pods/status"`},
	{request: "GET /api/v1/nodes/b/proxy/pods", code: 403, reason: `cannot get resource "nodes/proxy"`},
	{request: "GET /metrics", code: 403, reason: `cannot get path "/metrics"`},
	{request: "GET " + rbacs + "/clusterroles", code: 403, reason: `cannot list resource "clusterroles"`},
	{request: "GET /apis/config.openshift.io/v1/authentications", code: 403, reason: `cannot list resource "authentications"`},
}

// inOtherPlaces tries to be understood in two ways.
var inOtherPlaces = []attack{
	{request: "GET " + two + "/secrets/s-a%2f..%2fs-b", code: 403, reason: "cannot read subresource"},
	{request: "GET " + two + "/secrets/s-a/../s-b", code: 403, reason: "cannot read subresource"},
	{request: "GET " + two + "/secrets/..%2fsecrets%2fs-b", code: 403, reason: "cannot read subresource"},
	{request: "GET " + two + "/secrets/..", code: 403, reason: unrelated},
	{request: "GET " + two + "/secrets/%2e%2e%2fnobody", code: 403, reason: "cannot read subresource"},
	{request: "GET " + two + "/secrets/s-b%00", code: 403, reason: unrelated},
	{request: "GET " + two + "/secrets/s-a%00s-b", code: 403, reason: unrelated},
	{request: "GET " + two + "/secrets/s%e2%80%90b", code: 403, reason: unrelated},
	{request: "GET " + two + "/secrets/%ef%bd%93-b", code: 403, reason: unrelated},
	{request: "GET " + two + "/secrets/s-b%20", code: 403, reason: unrelated},
	{request: "GET " + two + "/secrets/S-B", code: 403, reason: unrelated},
	{request: "GET " + two + "/secrets//s-b", code: 403, reason: "cannot read subresource"},
	{request: "GET /api/v1/namespaces/two%2fsecrets%2fs-b/secrets/s-a", code: 403, reason: "cannot read subresource"},
	{request: "GET /api/v1/namespaces/..%2ftwo/secrets/s-a", code: 403, reason: `namespace ".."`},
	{request: "GET /api/v1/namespaces/two%00/secrets/s-a", code: 403, reason: unrelated},
	{request: "GET /api/v1/namespaces/%2e%2e/secrets/s-a", code: 403, reason: unrelated},
	{request: "GET /api/v1/../../api/v1/namespaces/two/secrets/s-b", code: 403, reason: `cannot get resource "../api"`},
	{request: "GET //api/v1/namespaces/two/secrets/s-b", code: 403, reason: unrelated},
	{request: "GET " + two + "/secrets?fieldSelector=metadata.name%3Ds-a&fieldSelector=metadata.name%3Ds-b", code: 200, reason: `"s-a"`},
	{request: "GET " + two + "/secrets?fieldSelector=metadata.name%3Ds-b&fieldSelector=metadata.name%3Ds-a", code: 403, reason: unrelated},
	{request: "GET " + two + "/secrets/s-b?fieldSelector=metadata.name%3Ds-a", code: 403, reason: unrelated},
}

// writing tries to change what is not the node's own.
var writing = []attack{
	{request: "PATCH " + two + "/secrets/s-a", body: `{"metadata":{"labels":{"a":"b"}}}`, code: 403, reason: "can only read resources of this type"},
	{request: "DELETE " + two + "/secrets/s-b", code: 403, reason: "can only read resources of this type"},
	{request: "DELETE " + two + "/secrets", code: 403, reason: "can only read resources of this type"},
	{request: "POST " + two + "/secrets", body: "{apiVersion: v1, kind: Secret, metadata: {name: x}}", code: 403, reason: "can only read resources of this type"},
	{request: "PATCH " + two + "/pods/pod-b/status", body: `{"status":{"phase":"Failed"}}`, code: 403, reason: `node "a" can only update pod status for pods with spec.nodeName set to itself`},
	{request: "PATCH " + two + "/pods/pending/status", body: `{"status":{"phase":"Failed"}}`, code: 403, reason: `node "a" can only update pod status for pods with spec.nodeName set to itself`},
	{request: "PATCH " + two + "/pods/pod-a/status", body: `{"metadata":{"labels":{"team":"y"}}}`, code: 403, reason: `node "a" cannot update labels through pod status`},
	{request: "PATCH " + two + "/pods/pod-a", body: `{"metadata":{"annotations":{"a":"b"}}}`, code: 403, reason: `cannot patch resource "pods"`},
	{request: "DELETE " + two + "/pods/pod-b", code: 403, reason: `node "a" can only delete pods with spec.nodeName set to itself`},
	{request: "DELETE " + two + "/pods", code: 403, reason: `cannot deletecollection resource "pods"`},
	{request: "POST " + two + "/pods/pod-b/eviction", body: "{apiVersion: policy/v1, kind: Eviction, metadata: {name: pod-b}}", code: 403, reason: "node a can only evict pods with spec.nodeName set to itself"},
	{request: "POST " + two + "/pods/pod-a/eviction", body: "{apiVersion: policy/v1, kind: Eviction, metadata: {name: pod-b}}", code: 400, reason: "name in URL does not match name in Eviction object"},
	{request: "POST " + two + "/pods/pending/binding", body: "{apiVersion: v1, kind: Binding, metadata: {name: pending}, target: {kind: Node, name: a}}", code: 403, reason: `cannot create resource "pods/binding"`},
	{request: "POST " + two + "/bindings", body: "{apiVersion: v1, kind: Binding, metadata: {name: pending}, target: {kind: Node, name: a}}", code: 403, reason: `cannot create resource "bindings"`},
	{request: "PATCH " + two + "/pods/pod-a/ephemeralcontainers", body: `{"spec":{"ephemeralContainers":[{"name":"e","image":"x","envFrom":[{"secretRef":{"name":"nobody"}}]}]}}`, code: 403, reason: `cannot patch resource "pods/ephemeralcontainers"`},
	{request: "POST " + two + "/pods/pod-b/exec?command=id", code: 403, reason: `cannot create resource "pods/exec"`},

	{request: "DELETE /api/v1/nodes/b", code: 403, reason: `cannot delete resource "nodes"`},
	{request: "DELETE /api/v1/nodes", code: 403, reason: `cannot deletecollection resource "nodes"`},
	{request: "PATCH /api/v1/nodes/b", body: `{"metadata":{"annotations":{"laterna.dev/issuer-revision":"999"}}}`, code: 403, reason: `node "a" is not allowed to modify node "b"`},
	{request: "PATCH /api/v1/nodes/b/status", body: `{"status":{"conditions":[]}}`, code: 403, reason: `node "a" is not allowed to modify node "b"`},
	{request: "POST /api/v1/nodes", body: "{apiVersion: v1, kind: Node, metadata: {name: c}}", code: 403, reason: `node "a" is not allowed to modify node "c"`},
	{request: "POST /api/v1/nodes", body: "{apiVersion: v1, kind: Node, metadata: {generateName: a}}", code: 403, reason: `node "a" is not allowed to modify node`},
	{request: "PATCH /api/v1/nodes/a", body: `{"metadata":{"labels":{"node-restriction.kubernetes.io/secure":"yes"}}}`, code: 403, reason: "is not allowed to modify labels: node-restriction.kubernetes.io/secure"},
	{request: "PATCH /api/v1/nodes/a", body: `{"metadata":{"labels":{"x.node-restriction.kubernetes.io/secure":"yes"}}}`, code: 403, reason: "is not allowed to modify labels: x.node-restriction.kubernetes.io/secure"},
	{request: "PATCH /api/v1/nodes/a", body: `{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}`, code: 403, reason: "is not allowed to modify labels: node-role.kubernetes.io/control-plane"},
	{request: "PATCH /api/v1/nodes/a/status", body: `{"metadata":{"labels":{"node-restriction.kubernetes.io/secure":"yes"}}}`, code: 403, reason: "is not allowed to modify labels: node-restriction.kubernetes.io/secure"},
	{request: "PATCH /api/v1/nodes/a", body: `{"spec":{"taints":[{"key":"k","effect":"NoExecute"}]}}`, code: 403, reason: `node "a" is not allowed to modify taints`},
	{request: "PATCH /api/v1/nodes/a", body: `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"b","uid":"u"}]}}`, code: 403, reason: `node "a" is not allowed to modify ownerReferences`},
	{request: "PATCH " + leases + "/b", body: `{"spec":{"holderIdentity":"a"}}`, code: 403, reason: "can only access node lease with the same name as the requesting node"},
	{request: "POST " + leases, body: "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: b}}", code: 403, reason: "can only access node lease with the same name as the requesting node"},
	{request: "POST /apis/coordination.k8s.io/v1/namespaces/two/leases", body: "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: a}}", code: 403, reason: `can only access leases in the "kube-node-lease" system namespace`},

	{request: "PATCH " + shows + "/pod-b", body: `{"status":{"volumes":[]}}`, code: 403, reason: unrelated},
	{request: "DELETE " + shows + "/pod-b", code: 403, reason: unrelated},
	{request: "POST " + shows, body: "{apiVersion: projection.laterna.dev/v1alpha1, kind: PodProjection, metadata: {name: pod-b, ownerReferences: [{apiVersion: v1, kind: Pod, name: pod-b, uid: UID-B}]}, spec: {nodeName: a}}", code: 403, reason: `node "a" can only create projections of pods with spec.nodeName set to itself`},
	{request: "POST " + shows, body: "{apiVersion: projection.laterna.dev/v1alpha1, kind: PodProjection, metadata: {name: pod-b, ownerReferences: [{apiVersion: v1, kind: Pod, name: pod-b, uid: UID-B}]}, spec: {nodeName: b}}", code: 403, reason: `node "a" can only create pod projections with spec.nodeName set to itself`},

	{request: "POST /apis/identity.laterna.dev/v1alpha1/signingkeys", body: "{apiVersion: identity.laterna.dev/v1alpha1, kind: SigningKey}", code: 403, reason: `cannot create resource "signingkeys"`},
	{request: "PATCH /apis/config.openshift.io/v1/authentications/cluster", body: `{"spec":{"serviceAccountIssuer":"https://evil"}}`, code: 403, reason: `cannot patch resource "authentications"`},
	{request: "PATCH /apis/operator.openshift.io/v1/kubeapiservers/cluster", body: `{"spec":{"forceRedeploymentReason":"x"}}`, code: 403, reason: `cannot patch resource "kubeapiservers"`},
	{request: "PATCH /apis/operator.openshift.io/v1/kubeapiservers/cluster/status", body: `{"status":{"serviceAccountIssuers":[{"name":"https://evil"}]}}`, code: 403, reason: `cannot patch resource "kubeapiservers/status"`},
	{request: "POST /encryption/v1/rotate", code: 403, reason: `cannot post path "/encryption/v1/rotate"`},
	{request: "POST " + rbacs + "/clusterrolebindings", body: "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: x}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}, subjects: [{kind: User, name: 'system:node:a'}]}", code: 403, reason: `cannot create resource "clusterrolebindings"`},
	{request: "POST /api/v1/namespaces", body: "{apiVersion: v1, kind: Namespace, metadata: {name: x}}", code: 403, reason: `cannot create resource "namespaces"`},
}

const mirror = "{apiVersion: v1, kind: Pod, metadata: {name: m, annotations: {kubernetes.io/config.mirror: x}, ownerReferences: [{apiVersion: v1, kind: Node, name: a, uid: UID-NODE, controller: true}]}, spec: {nodeName: a, automountServiceAccountToken: false, SPEC containers: [{name: c, image: x ENV}]}}"

// mirrored tries to get at objects through pods of the node's own making.
var mirrored = []attack{
	{body: "{apiVersion: v1, kind: Pod, metadata: {name: m}, spec: {nodeName: a, containers: [{name: c, image: x}], volumes: [{name: v, secret: {secretName: nobody}}]}}", reason: `pod does not have "kubernetes.io/config.mirror" annotation, node "a" can only create mirror pods`},
	{body: strings.Replace(mirror, "nodeName: a", "nodeName: b", 1), reason: `node "a" can only create pods with spec.nodeName set to itself`},
	{body: strings.Replace(mirror, "nodeName: a,", "", 1), reason: `node "a" can only create pods with spec.nodeName set to itself`},
	{body: strings.Replace(mirror, "name: a, uid", "name: b, uid", 1), reason: `node "a" can only create pods with an owner reference set to itself`},
	{body: strings.Replace(mirror, "UID-NODE", "other", 1), reason: "node a UID mismatch"},
	{body: strings.Replace(mirror, "controller: true", "controller: false", 1), reason: `node "a" can only create pods with a controller owner reference set to itself`},
	{body: strings.Replace(mirror, "SPEC", "serviceAccountName: sa-b,", 1), reason: "a mirror pod may not reference service accounts"},
	{body: strings.Replace(mirror, "SPEC", "imagePullSecrets: [{name: nobody}],", 1), reason: "a mirror pod may not reference secrets"},
	{body: strings.Replace(mirror, "SPEC", "volumes: [{name: v, secret: {secretName: nobody}}],", 1), reason: "a mirror pod may not reference secrets"},
	{body: strings.Replace(mirror, "SPEC", "volumes: [{name: v, configMap: {name: c-b}}],", 1), reason: `node "a" can not create pods that reference configmaps`},
	{body: strings.Replace(mirror, "SPEC", "volumes: [{name: v, projected: {sources: [{secret: {name: nobody}}]}}],", 1), reason: "a mirror pod may not reference secrets"},
	{body: strings.Replace(mirror, "SPEC", "volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}],", 1), reason: "a mirror pod may not use ServiceAccountToken volume projections"},
	{body: strings.Replace(mirror, "SPEC", "volumes: [{name: v, csi: {driver: d, nodePublishSecretRef: {name: nobody}}}],", 1), reason: "a mirror pod may not reference secrets"},
	{body: strings.Replace(mirror, "SPEC", "volumes: [{name: v, csi: {driver: d}}],", 1), reason: `node "a" can not create pods that reference csidrivers`},
	{body: strings.Replace(mirror, "ENV", ", envFrom: [{secretRef: {name: nobody}}]", 1), reason: "a mirror pod may not reference secrets"},
	{body: strings.Replace(mirror, "ENV", ", env: [{name: E, valueFrom: {secretKeyRef: {name: nobody, key: k}}}]", 1), reason: "a mirror pod may not reference secrets"},
	{body: strings.Replace(mirror, "SPEC", "initContainers: [{name: i, image: x, envFrom: [{configMapRef: {name: c-b}}]}],", 1), reason: `node "a" can not create pods that reference configmaps`},
}

const tokenRequest = "{apiVersion: authentication.k8s.io/v1, kind: TokenRequest, spec: {audiences: [AUD], boundObjectRef: {apiVersion: v1, kind: Pod, name: POD, uid: UID}}}"

// bound is a request for a token that is bound to a pod.
func bound(pod, uid, audience string) string {
	return strings.NewReplacer("POD", pod, "UID", uid, "AUD", audience).Replace(tokenRequest)
}

// asking tries to get tokens of pods that are not on the node.
var asking = []attack{
	{request: "sa-b", body: bound("pod-b", "UID-B", "vault"), reason: unrelated},
	{request: "default", body: bound("pod-a", "UID-A", "vault"), reason: unrelated},
	{request: "sa-a", body: bound("pod-b", "UID-B", "vault"), reason: "node requested token bound to a pod scheduled on a different node"},
	{request: "sa-a", body: bound("pod-a", "UID-B", "vault"), reason: "does not match the UID in record"},
	{request: "sa-a", body: bound("pod-a", "''", "vault"), reason: "node requested token with a pod binding without a uid"},
	{request: "sa-a", body: bound("pod-a", "UID-A", "other"), reason: `audience "other" not found in pod spec volume`},
	{request: "sa-a", body: bound("pod-a", "UID-A", "vault, other"), reason: "node may only request 0 or 1 audiences"},
	{request: "sa-a", body: bound("pod-a", "UID-A", ""), reason: `audience "" not found in pod spec volume`},
	{request: "sa-a", body: "{apiVersion: authentication.k8s.io/v1, kind: TokenRequest, spec: {audiences: [vault]}}", reason: "node requested token not bound to a pod"},
	{request: "sa-a", body: strings.Replace(bound("s-a", "UID-A", "vault"), "kind: Pod", "kind: Secret", 1), reason: "node requested token not bound to a pod"},
	{request: "sa-a", body: strings.Replace(bound("a", "UID-NODE", "vault"), "kind: Pod", "kind: Node", 1), reason: "node requested token not bound to a pod"},
}

// posing tries to be somebody else.
var posing = []attack{
	{headers: []string{"Impersonate-User", "admin", "Impersonate-Group", "system:masters"}, reason: "cannot impersonate"},
	{headers: []string{"Impersonate-User", "system:node:b", "Impersonate-Group", "system:nodes"}, reason: "cannot impersonate"},
	{headers: []string{"Impersonate-User", "system:serviceaccount:two:sa-b"}, reason: "cannot impersonate"},
	{headers: []string{"X-Remote-User", "admin", "X-Remote-Group", "system:masters"}, reason: unrelated},
	{headers: []string{"X-Original-Url", "/api/v1/namespaces/two/secrets/s-a"}, reason: unrelated},
	{headers: []string{"X-Http-Method-Override", "DELETE"}, reason: unrelated},
}

// try makes the requests of attacks and reports those that are not refused as they
// must be.
func (c *caller) try(t *testing.T, attacks []attack, fill *strings.Replacer) {
	t.Helper()
	for _, a := range attacks {
		body := fill.Replace(a.body)
		code, said := c.do(t, a.request, body, a.headers...)
		if code != a.code || !strings.Contains(said, a.reason) {
			t.Errorf("%s %.120s\n\tsaid %d %.300s\n\twant %d %s", a.request, body, code, said, a.code, a.reason)
		}
		if strings.Contains(said, "canary-of-b") || strings.Contains(said, "canary-of-nobody") || strings.Contains(said, "Y2FuYXJ5LW9mL") && a.code != 200 {
			t.Errorf("%s: got what is not the node's: %s", a.request, said)
		}
	}
}

func TestB23HostileNode(t *testing.T) {
	s, uid := twoNodes(t)
	a, b := s.node(t, "a"), s.node(t, "b")
	fill := strings.NewReplacer("UID-NODE", uid("node/a"), "UID-A", uid("pod/pod-a"), "UID-B", uid("pod/pod-b"), "SPEC", "", "ENV", "")
	show := fill.Replace("{apiVersion: projection.laterna.dev/v1alpha1, kind: PodProjection, metadata: {name: pod-b, ownerReferences: [{apiVersion: v1, kind: Pod, name: pod-b, uid: UID-B}]}, spec: {nodeName: b}}")
	if code, said := b.do(t, "POST "+shows, show); code != 201 {
		t.Fatalf("node b cannot say what its pod shows: %d %s", code, said)
	}
	if code, said := b.do(t, "POST "+leases, "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: b}}"); code != 201 {
		t.Fatalf("node b cannot make its lease: %d %s", code, said)
	}
	before := s.sh(t, "kubectl get secrets,configmaps,pods,podprojections,sa -n two -o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.metadata.labels} {.spec.nodeName}{\"\\n\"}{end}'")

	t.Run("reading", func(t *testing.T) { a.try(t, reading, fill) })
	t.Run("in other places", func(t *testing.T) { a.try(t, inOtherPlaces, fill) })
	t.Run("writing", func(t *testing.T) { a.try(t, writing, fill) })
	t.Run("mirror pods", func(t *testing.T) {
		for _, m := range mirrored {
			m.request, m.code = "POST "+two+"/pods", 403
			a.try(t, []attack{m}, fill)
		}
		if code, said := a.do(t, "POST "+two+"/pods", fill.Replace(mirror)); code != 201 {
			t.Errorf("a mirror pod without references: %d %s", code, said)
		}
		s.sh(t, "kubectl delete pod -n two m --grace-period=0 --force")
	})
	t.Run("tokens", func(t *testing.T) {
		for _, m := range asking {
			m.request, m.code = "POST "+two+"/serviceaccounts/"+m.request+"/token", 403
			a.try(t, []attack{m}, fill)
		}
	})
	t.Run("impersonation", func(t *testing.T) {
		for _, m := range posing {
			m.request, m.code = "GET "+two+"/secrets/s-b", 403
			a.try(t, []attack{m}, fill)
		}
	})
	t.Run("names of certificates", func(t *testing.T) {
		for user, groups := range map[string][]string{"system:node:b": nil, "system:node:": {"system:nodes"}, "system:nodes": {"system:nodes"}, "b": {"system:nodes"}, "System:Node:b": {"system:nodes"}, "system:node:b ": {"system:nodes"}, "system:node:B": {"system:nodes"}} {
			for _, request := range []string{"GET " + two + "/secrets/s-b", "GET /api/v1/nodes/b"} {
				if code, said := s.caller(t, user, groups...).do(t, request, ""); code != 403 {
					t.Errorf("%q %q, %s: %d %.200s", user, groups, request, code, said)
				}
			}
		}
	})
	if after := s.sh(t, "kubectl get secrets,configmaps,pods,podprojections,sa -n two -o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.metadata.labels} {.spec.nodeName}{\"\\n\"}{end}'"); after != before {
		t.Errorf("something has changed:\n%s\nwas\n%s", after, before)
	}
}
