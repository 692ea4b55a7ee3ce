package compat

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// TestAttackPaths sends request lines as no client does, with rights in one namespace
// and none, for a secret of another.
func TestAttackPaths(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	victim := ns + "-victim"
	const canary = "canary-in-another-namespace"
	s.sh(t, "kubectl create namespace "+victim+" && kubectl create secret generic prize --from-literal=k="+canary+" -n "+victim)
	t.Cleanup(func() { s.sh(t, "kubectl delete namespace --wait=false "+victim) })
	s.sh(t, fmt.Sprintf("kubectl create sa reader -n %s && kubectl create rolebinding r --clusterrole=admin --serviceaccount=%[1]s:reader -n %[1]s", ns))
	token := strings.TrimSpace(s.sh(t, "kubectl create token reader -n "+ns))
	own, prize := "/api/v1/namespaces/"+ns, "api/v1/namespaces/"+victim+"/secrets/prize"
	if code, body := s.raw(t, own+"/secrets", token); code != http.StatusOK {
		t.Fatalf("its own namespace: %d %s", code, body)
	}
	for _, path := range []string{
		"/" + prize, "//" + prize, "/./" + prize, "/x/../" + prize, "/api/v1/namespaces//" + victim + "/secrets/prize",
		own + "/../" + victim + "/secrets/prize", own + "/secrets/../../" + victim + "/secrets/prize", own + "/./../" + victim + "/secrets/prize",
		own + "/%2e%2e/" + victim + "/secrets/prize", own + "%2f..%2f" + victim + "/secrets/prize", own + "/..%2f" + victim + "/secrets/prize",
		own + "/secrets/..%2f..%2f" + victim + "%2fsecrets%2fprize", own + "/secrets/%2e%2e%2f%2e%2e%2f" + victim + "/secrets/prize",
		own + "/secrets/..%2F" + victim + "%2Fprize", own + "/secrets/%252e%252e%252f" + victim + "%252fprize", own + `/secrets/..%5c` + victim + `%5cprize`, own + `\..\` + victim + `\secrets\prize`,
		own + "/..;/" + victim + "/secrets/prize", own + "%00/../" + victim + "/secrets/prize", own + "/secrets/prize%00", own + "/%c0%ae%c0%ae/" + victim + "/secrets/prize",
		own + "/%ef%bc%8e%ef%bc%8e/" + victim + "/secrets/prize", own + "/secrets/prize?namespace=" + victim, "/API/V1/namespaces/" + victim + "/secrets/prize",
		"/api/v1/watch/namespaces/" + victim + "/secrets/prize?timeoutSeconds=1", "/api/v1/proxy/namespaces/" + victim + "/secrets/prize", own + "/configmaps/../secrets/../../" + victim + "/secrets/prize",
		"/readyz/../" + prize, "/version/../" + prize, "/readyz/%2e%2e/" + prize, "/openid/v1/jwks/../../../" + prize, "/.well-known/openid-configuration/../../" + prize,
		"/" + prize + "/.well-known/openid-configuration", "/" + prize + "/openid/v1/jwks", "/.well-known/openid-configuration#/" + prize, "https://kubernetes.default.svc/" + prize, "https://kubernetes.default.svc/readyz/../" + prize,
		own + "/services/https:" + s.Listen + ":/proxy/" + prize, own + "/pods/x/proxy/../../../" + victim + "/secrets/prize", own + "/secrets/" + strings.Repeat("../", 50) + prize, own + "/" + strings.Repeat("%2e%2e%2f", 50) + prize,
	} {
		for who, bearer := range map[string]string{"the admin of another namespace": token, "nobody": ""} {
			code, body := s.raw(t, path, bearer)
			if code == http.StatusOK || code >= 500 || strings.Contains(body, canary) || strings.Contains(body, base64.StdEncoding.EncodeToString([]byte(canary))) {
				t.Errorf("GET %.120s by %s: %d %.300s", path, who, code, body)
			}
		}
	}
	if code, body := s.raw(t, own+"/secrets?namespace="+victim, token); code != http.StatusOK || strings.Contains(body, canary) {
		t.Errorf("at last: %d %s", code, body)
	}
}

// raw sends a request line with a path as it is.
func (s *system) raw(t testing.TB, path, token string) (code int, body string) {
	t.Helper()
	config, err := rest.TLSConfigFor(rest.AnonymousClientConfig(s.config(t)))
	if err != nil {
		t.Fatal(err)
	}
	config.ServerName = "kubernetes.default.svc"
	conn, err := tls.Dial("tcp", s.Listen, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(stepTimeout))
	request := "GET " + path + " HTTP/1.1\r\nHost: kubernetes.default.svc\r\nConnection: close\r\n"
	if token != "" {
		request += "Authorization: Bearer " + token + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return resp.StatusCode, string(raw)
}

// TestAttackNames creates objects with names that mean something in paths, past kubectl,
// which would not send them; roles have the kinds' freest names.
func TestAttackNames(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	own := "/api/v1/namespaces/" + ns
	for path, kind := range map[string]string{
		own + "/secrets": `"v1","kind":"Secret"`, own + "/serviceaccounts": `"v1","kind":"ServiceAccount"`, own + "/configmaps": `"v1","kind":"ConfigMap"`,
		own + "/pods": `"v1","kind":"Pod","spec":{"containers":[{"name":"c","image":"none"}]}`, "/api/v1/namespaces": `"v1","kind":"Namespace"`,
		"/apis/rbac.authorization.k8s.io/v1/namespaces/" + ns + "/roles": `"rbac.authorization.k8s.io/v1","kind":"Role"`,
	} {
		for _, name := range []string{"..", ".", "a/b", "../../default/x", "/registry/secrets/default/x", "a%2fb", "%2e%2e"} {
			got := send(t, http.MethodPost, path, "application/json", fmt.Appendf(nil, `{"apiVersion":%s,"metadata":{"name":%q}}`, kind, name))
			if got.Code != http.StatusUnprocessableEntity || !strings.Contains(got.Message, "metadata.name: Invalid value: \""+name+"\"") {
				t.Errorf("name %s at %s: %d %s", name, path, got.Code, got.Message)
			}
		}
		got := send(t, http.MethodPost, path, "application/json", fmt.Appendf(nil, `{"apiVersion":%s,"metadata":{"generateName":"../"}}`, kind))
		if got.Code != http.StatusUnprocessableEntity {
			t.Errorf("a generated name at %s: %d %s", path, got.Code, got.Message)
		}
	}
	for _, other := range []string{"kube-system", "..", "a/b"} {
		got := send(t, http.MethodPost, own+"/secrets", "application/json", fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x","namespace":%q}}`, other))
		if got.Code != http.StatusBadRequest || !strings.Contains(got.Message, "the namespace of the provided object does not match the namespace sent on the request") {
			t.Errorf("namespace %s in the object: %d %s", other, got.Code, got.Message)
		}
	}
}
