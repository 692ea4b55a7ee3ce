package compat

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// TestAttackNodeAsksForTokens has a node ask for tokens that its pods do not give it.
func TestAttackNodeAsksForTokens(t *testing.T) {
	t.Parallel()
	s := started(t, "--node=false")
	uids := map[string]types.UID{}
	for _, node := range []string{"a", "b"} {
		s.simulate(t, node)
		s.apply(t, "default", fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: on-%s}
spec:
  nodeName: %s
  containers: [{name: c, image: none}]
  volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t, audience: vault}}]}}]
`, node, node))
		uids[node] = types.UID(s.field(t, "default", "pod/on-"+node, "{.metadata.uid}"))
	}
	s.sh(t, "kubectl create sa other")
	config := s.config(t)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:node:a", Groups: []string{"system:nodes", "system:authenticated"}}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(account, kind, name string, uid types.UID, audiences ...string) error {
		r := bindTo(kind, name, uid)
		r.Spec.Audiences = audiences
		_, err := client.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), account, &r, metav1.CreateOptions{})
		return err
	}
	for _, audience := range [][]string{nil, {"vault"}} {
		if err := ask("default", "Pod", "on-a", uids["a"], audience...); err != nil {
			t.Errorf("its own pod's token for %v: %v", audience, err)
		}
	}
	for what, tc := range map[string]struct {
		err  error
		want string
	}{
		"pod of another node":           {ask("default", "Pod", "on-b", uids["b"], "vault"), "node requested token bound to a pod scheduled on a different node"},
		"another node's pod as its own": {ask("default", "Pod", "on-a", uids["b"], "vault"), "does not match the UID in record"},
		"audience not in the pod":       {ask("default", "Pod", "on-a", uids["a"], "bank"), `audience "bank" not found in pod spec volume`},
		"audience beside the pod's":     {ask("default", "Pod", "on-a", uids["a"], "vault", "bank"), "node may only request 0 or 1 audiences"},
		"account not the pod's":         {ask("other", "Pod", "on-a", uids["a"], "vault"), "no relationship found between node"},
		"without uid":                   {ask("default", "Pod", "on-a", "", "vault"), "node requested token with a pod binding without a uid"},
		"bound to the node":             {ask("default", "Node", "a", "", "vault"), "node requested token not bound to a pod"},
	} {
		if tc.err == nil || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", what, tc.err, tc.want)
		}
	}
}

const mallory = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: mallory}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: granter}
rules:
- {apiGroups: [rbac.authorization.k8s.io], resources: [roles, rolebindings], verbs: [get, list, create, update, patch, delete]}
- {apiGroups: [""], resources: [configmaps], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: granter}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: granter}
subjects: [{kind: ServiceAccount, name: mallory}]
`

// as returns kubectl as the holder of a token, with no other credentials.
func (s *system) as(token, ns string) string {
	return fmt.Sprintf("kubectl --kubeconfig /dev/null --server https://%s --certificate-authority <(kubectl config view --raw -o jsonpath='{.clusters[0].cluster.certificate-authority-data}' | base64 -d) --token %s -n %s ", s.Listen, strings.TrimSpace(token), ns)
}

// TestAttackEscalation has a service account that may write roles and bindings try to
// become more than it is, and then get single rights that allow single steps.
func TestAttackEscalation(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, mallory)
	kubectl := s.as(s.sh(t, "kubectl create token mallory -n "+ns), ns)
	const escalates, lacks = "is attempting to grant RBAC permissions not currently held", "is forbidden"
	s.sh(t, kubectl+"create role mine --verb=get --resource=configmaps")
	refused := func(what, command, want string) {
		t.Helper()
		if out := s.fails(t, kubectl+command); !strings.Contains(out, want) {
			t.Errorf("%s: %s\nwant %s", what, out, want)
		}
	}
	refused("a role with more", "create role more --verb=get --resource=secrets", escalates)
	refused("a role with everything", "create role all --verb='*' --resource='*'", escalates)
	refused("more in its role", `patch role mine --type merge -p '{"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]}'`, escalates)
	refused("more by apply", "apply --server-side --force-conflicts -f - <<'END'\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: mine}\nrules: [{apiGroups: [''], resources: [secrets], verbs: [get]}]\nEND", escalates)
	refused("binding of cluster-admin", "create rolebinding b --clusterrole=cluster-admin --serviceaccount="+ns+":mallory", escalates)
	refused("binding of view", "create rolebinding b --clusterrole=view --serviceaccount="+ns+":mallory", escalates)
	refused("binding of a role that is none", "create rolebinding b --clusterrole=yet-to-come --serviceaccount="+ns+":mallory", "not found")
	refused("another role in its binding", `patch rolebinding granter --type json -p '[{"op":"replace","path":"/roleRef","value":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"}}]'`, "")
	refused("binding for the cluster", "create clusterrolebinding b --clusterrole=cluster-admin --serviceaccount="+ns+":mallory", lacks)
	refused("another namespace", "create role r --verb=get --resource=configmaps -n kube-system", lacks)
	refused("token of another account", "create token default", `cannot create resource "serviceaccounts/token"`)
	refused("the admin", "get secrets --as=admin --as-group=system:masters", "cannot impersonate")
	refused("a group", "get secrets --as=system:serviceaccount:"+ns+":mallory --as-group=system:masters", "cannot impersonate")
	refused("another account", "get secrets --as=system:serviceaccount:kube-system:default", "cannot impersonate")
	refused("a node", "get secrets --as=system:node:n --as-group=system:nodes", "cannot impersonate")
	refused("the operator", `patch authentications cluster --type merge -p '{"spec":{"serviceAccountIssuer":"https://evil.example"}}'`, lacks)
	refused("a signing key", "get signingkeys", lacks)

	// A right to bind or to escalate is for what it names.
	grant := func(name, rules string) {
		t.Helper()
		s.apply(t, ns, fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: %[1]s}\nrules: [%[2]s]\n---\n"+
			"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: %[1]s}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[1]s}\nsubjects: [{kind: ServiceAccount, name: mallory}]\n", name, rules))
	}
	grant("binds-view", "{apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], resourceNames: [view], verbs: [bind]}")
	s.sh(t, kubectl+"create rolebinding views --clusterrole=view --serviceaccount="+ns+":default")
	refused("binding of another role than that", "create rolebinding edits --clusterrole=edit --serviceaccount="+ns+":default", escalates)
	grant("escalates", "{apiGroups: [rbac.authorization.k8s.io], resources: [roles], resourceNames: [mine], verbs: [escalate]}")
	s.sh(t, kubectl+`patch role mine --type merge -p '{"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]}'`)
	refused("escalation of another role", "create role other --verb=get --resource=secrets", escalates)
	refused("binding of what it may write", "create rolebinding own --role=mine --serviceaccount="+ns+":mallory", escalates)
	refused("impersonation after all", "get secrets --as=admin", "cannot impersonate")
}
