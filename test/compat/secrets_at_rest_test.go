package compat

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/pki"
)

// caller talks to the API as a client that has written its own requests.
type caller struct {
	url    string
	client *http.Client
}

// caller returns a client with a certificate of the system's authority.
func (s *system) caller(t testing.TB, user string, groups ...string) *caller {
	t.Helper()
	authority, err := pki.OpenAuthority(filepath.Join(s.Dir, "pki"), clock.Real())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Pair(pki.Leaf{Name: fmt.Sprintf("test-%x", user), CommonName: user, Organizations: groups, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	return &caller{s.config(t).Host, &http.Client{Timeout: stepTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: authority.Pool(), Certificates: []tls.Certificate{*pair.Certificate()}},
	}}}
}

// node returns a client with the rights of a node.
func (s *system) node(t testing.TB, name string) *caller {
	t.Helper()
	return s.caller(t, "system:node:"+name, "system:nodes", "system:authenticated")
}

// do sends a request exactly as given: METHOD path, with a body of YAML or JSON. It
// returns the status code and the body, or the message that the server sent.
func (c *caller) do(t testing.TB, request, body string, headers ...string) (code int, said string) {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	req, err := http.NewRequest(method, c.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	path, req.URL.RawQuery, _ = strings.Cut(path, "?")
	req.URL.Opaque = "//" + req.URL.Host + path
	req.Header.Set("Content-Type", "application/yaml")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.client.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	status := struct{ Kind, Message string }{}
	if json.Unmarshal(raw, &status) == nil && status.Kind == "Status" && status.Message != "" {
		return resp.StatusCode, status.Message
	}
	return resp.StatusCode, string(raw)
}

// b23 are two nodes, each with a pod that uses objects of its own, and objects that
// nobody uses.
const b23 = `
apiVersion: v1
kind: Node
metadata: {name: a}
---
apiVersion: v1
kind: Node
metadata: {name: b}
---
apiVersion: v1
kind: Namespace
metadata: {name: two}
---
%s
---
%s
---
apiVersion: v1
kind: Secret
metadata: {name: nobody, namespace: two, labels: {team: x}}
stringData: {canary: canary-of-nobody}
---
apiVersion: v1
kind: Pod
metadata: {name: pending, namespace: two}
spec: {schedulerName: nobody, containers: [{name: c, image: x}]}
`

// b23Node are the objects of one node.
func b23Node(node string) string {
	return strings.ReplaceAll(`apiVersion: v1
kind: Secret
metadata: {name: s-NODE, namespace: two, labels: {team: x}}
stringData: {canary: canary-of-NODE}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c-NODE, namespace: two, labels: {team: x}}
data: {canary: canary-of-NODE}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: sa-NODE, namespace: two}
---
apiVersion: v1
kind: Pod
metadata: {name: pod-NODE, namespace: two, labels: {team: x}}
spec:
  nodeName: NODE
  serviceAccountName: sa-NODE
  automountServiceAccountToken: false
  containers: [{name: c, image: x}]
  volumes:
  - {name: s, secret: {secretName: s-NODE}}
  - {name: c, configMap: {name: c-NODE}}
  - name: t
    projected: {sources: [{serviceAccountToken: {path: t, audience: vault}}]}
`, "NODE", node)
}

// twoNodes returns a system with the objects of b23; uid is that of an object.
func twoNodes(t *testing.T) (s *system, uid func(object string) string) {
	t.Helper()
	s = started(t, "--node=false")
	s.apply(t, "two", fmt.Sprintf(b23, b23Node("a"), b23Node("b")))
	return s, func(object string) string { return s.field(t, "two", object, "{.metadata.uid}") }
}

// onDisk fails when a file of the store holds one of the texts, and unless one holds
// the control text.
func (s *system) onDisk(t testing.TB, control string, texts ...string) {
	t.Helper()
	found := false
	err := filepath.WalkDir(filepath.Join(s.Dir, "etcd"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		found = found || bytes.Contains(data, []byte(control))
		for _, text := range texts {
			if bytes.Contains(data, []byte(text)) {
				t.Errorf("%s holds %q", path, text)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		t.Errorf("no file holds %q: the test sees nothing", control)
	}
}

func TestB23SecretsAreEncryptedInTheStore(t *testing.T) {
	s := started(t, "--node=false")
	s.sh(t, "kubectl create secret generic hidden --from-literal=password=canary-that-must-not-show && kubectl create configmap open --from-literal=text=canary-that-may-show")
	s.sh(t, "kubectl create token default")
	s.onDisk(t, "canary-that-may-show", "canary-that-must-not-show", "pkcs8", "PRIVATE KEY")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s.onDisk(t, "canary-that-may-show", "canary-that-must-not-show", "pkcs8", "PRIVATE KEY")
	info, err := os.Stat(filepath.Join(s.Dir, "pki", "encryption.key"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
}

func TestB23NodeUsesWhatItsPodsReference(t *testing.T) {
	s, uid := twoNodes(t)
	for _, name := range []string{"a", "b"} {
		node := s.node(t, name)
		for request, want := range map[string]string{
			"GET /api/v1/namespaces/two/secrets/s-NODE":                                               "kind",
			"GET /api/v1/namespaces/two/secrets?fieldSelector=metadata.name%3Ds-NODE":                 `"s-NODE"`,
			"GET /api/v1/namespaces/two/configmaps/c-NODE":                                            "canary-of-NODE",
			"GET /api/v1/pods?fieldSelector=spec.nodeName%3DNODE":                                     `"pod-NODE"`,
			"GET /api/v1/nodes/NODE":                                                                  `"NODE"`,
			"GET /api/v1/namespaces/two/serviceaccounts/sa-NODE":                                      `"sa-NODE"`,
			"GET /apis/operator.openshift.io/v1/kubeapiservers?fieldSelector=metadata.name%3Dcluster": "items",
		} {
			request, want = strings.ReplaceAll(request, "NODE", name), strings.ReplaceAll(want, "NODE", name)
			if code, said := node.do(t, request, ""); code != 200 || !strings.Contains(said, want) {
				t.Errorf("node %s, %s: %d %.300s", name, request, code, said)
			}
		}
		token := fmt.Sprintf("{apiVersion: authentication.k8s.io/v1, kind: TokenRequest, spec: {audiences: [vault], boundObjectRef: {apiVersion: v1, kind: Pod, name: pod-%s, uid: %s}}}", name, uid("pod/pod-"+name))
		if code, said := node.do(t, "POST /api/v1/namespaces/two/serviceaccounts/sa-"+name+"/token", token); code != 201 {
			t.Errorf("node %s, token: %d %s", name, code, said)
		}
	}
}
