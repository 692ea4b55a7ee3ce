package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

// threeNodes are simulated nodes, each with a pod of the document bound to it.
type threeNodes struct {
	s     *system
	ns    string
	nodes []string
}

func simulateThree(t *testing.T, s *system) threeNodes {
	t.Helper()
	n := threeNodes{s: s, ns: s.namespace(t), nodes: []string{"a", "b", "c"}}
	s.sh(t, "kubectl create sa build-robot -n "+n.ns)
	for _, node := range n.nodes {
		s.simulate(t, node)
		s.apply(t, n.ns, strings.Replace(vaultPod("nginx-"+node, vaultToken), "spec:\n", "spec:\n  nodeName: "+node+"\n", 1))
	}
	s.report(t, 1, n.nodes...)
	s.rolledOut(t, 5*time.Second, "3 nodes are at revision 1")
	return n
}

// tokens asks for the token of each pod, as the agent of its node does.
func (n threeNodes) tokens(t *testing.T) (all []string) {
	t.Helper()
	for _, node := range n.nodes {
		config := rest.CopyConfig(n.s.config(t))
		config.Impersonate = rest.ImpersonationConfig{UserName: "system:node:" + node, Groups: []string{"system:nodes", "system:authenticated"}}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		pod := "nginx-" + node
		req, err := client.CoreV1().ServiceAccounts(n.ns).CreateToken(t.Context(), "build-robot", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			Audiences: []string{"vault"}, ExpirationSeconds: ptr.To[int64](48 * 3600),
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod, UID: types.UID(n.s.field(t, n.ns, "pod/"+pod, "{.metadata.uid}"))},
		}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, req.Status.Token)
	}
	return all
}

func (n threeNodes) wantIssuer(t *testing.T, want string) (tokens []string) {
	t.Helper()
	eventually(t, 2*time.Second, func() error {
		tokens = n.tokens(t)
		for i, token := range tokens {
			if got := decode(t, token); got.Issuer != want || got.Kubernetes.Node == nil || got.Kubernetes.Node.Name != n.nodes[i] {
				return fmt.Errorf("token of node %s: %+v, want issuer %s", n.nodes[i], got, want)
			}
		}
		return nil
	})
	return tokens
}

func TestO5AndO7OverThreeNodes(t *testing.T) {
	s := started(t, "--test-clock", "--node=false")
	n := simulateThree(t, s)
	old := n.wantIssuer(t, defaultIssuer)
	s.sh(t, `KUBE_EDITOR='sed -i "s#^spec: {}#spec: {serviceAccountIssuer: https://test.default.svc}#"' kubectl edit authentications cluster`)
	fresh := n.wantIssuer(t, "https://test.default.svc")
	s.report(t, 2, "c")
	eventually(t, 5*time.Second, func() error {
		if got := strings.TrimSpace(s.sh(t, progressing)); got != "2 nodes are at revision 1; 1 node is at revision 2" {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	s.report(t, 2, "a", "b")
	s.rolledOut(t, 5*time.Second, "3 nodes are at revision 2")
	for i := range n.nodes {
		for what, token := range map[string]string{"old": old[i], "new": fresh[i]} {
			if r := review(t, s, token, "vault"); !r.Authenticated {
				t.Errorf("node %s: the %s token is refused: %s", n.nodes[i], what, r.Error)
			}
		}
	}
	s.sh(t, "laterna clock advance --data-dir "+s.Dir+" 24h1m")
	for i := range n.nodes {
		if r := review(t, s, old[i], "vault"); r.Authenticated || !strings.Contains(r.Error, "it was trusted until") {
			t.Errorf("node %s: the old token after 24 hours: %+v", n.nodes[i], r)
		}
		if r := review(t, s, fresh[i], "vault"); !r.Authenticated {
			t.Errorf("node %s: the new token is refused: %s", n.nodes[i], r.Error)
		}
	}
}
