package compat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ambassadorPod is the document's, with the image of the ambassador to be filled in.
const ambassadorPod = `
apiVersion: v1
kind: Pod
metadata: {name: curl-with-ambassador}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: tutum/curl, command: [sleep, "9999999"]}
  - {name: ambassador, image: "%s"}
`

// TestB7Ambassador asks the API from a pod without a token or TLS, with the image of the
// document and with ours.
func TestB7Ambassador(t *testing.T) {
	t.Parallel()
	for name, image := range map[string]string{"document": "luksa/kubectl-proxy:1.6.2", "ours": "laterna.dev/ambassador"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &stage{system: shared, ns: shared.namespace(t), client: shared.client(t)}
			k := "kubectl -n " + s.ns + " "
			s.apply(t, s.ns, fmt.Sprintf(ambassadorPod, image))
			s.running(t, s.ns, "curl-with-ambassador")
			curl := func(path string) (text string) {
				return s.sh(t, k+"exec curl-with-ambassador -- curl -s --retry 10 --retry-connrefused --retry-delay 1 localhost:8001"+path+" 2>/dev/null") // without -c: the first
			}
			contains(t, curl("/api/v1/nodes"), `User \"system:serviceaccount:`+s.ns+`:default\" cannot list resource \"nodes\"`)
			s.sh(t, "kubectl create clusterrolebinding "+s.ns+" --clusterrole=cluster-admin --group=system:serviceaccounts:"+s.ns)
			t.Cleanup(func() { s.sh(t, "kubectl delete clusterrolebinding "+s.ns) })
			var paths metav1.RootPaths
			eventually(t, 20*time.Second, func() error { // the binding has to be known
				if text := curl("/"); json.Unmarshal([]byte(text), &paths) != nil || !slices.Contains(paths.Paths, "/apis/batch") {
					return fmt.Errorf("%s", text)
				}
				return nil
			})
			// As the document does: a terminal, in the container that is named.
			term := openTerminal(t, 24, 80)
			cmd := s.command(t, "kubectl", "exec", "-it", "-n", s.ns, "curl-with-ambassador", "-c", "main", "--", "bash")
			term.start(t, cmd)
			term.expect(t, "#")
			term.send(t, "curl -s localhost:8001\n")
			term.expect(t, `"/apis/batch/v1"`)
			term.send(t, "exit\n")
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			through, direct := map[string]any{}, map[string]any{}
			account := "/api/v1/namespaces/" + s.ns + "/serviceaccounts/default"
			err := errors.Join(json.Unmarshal([]byte(curl(account)), &through), json.Unmarshal([]byte(s.sh(t, "kubectl get --raw "+account)), &direct))
			if err != nil || through["kind"] != "ServiceAccount" || !reflect.DeepEqual(through, direct) {
				t.Errorf("%v\n%v, %v", through, direct, err)
			}
			contains(t, s.sh(t, k+"logs curl-with-ambassador -c ambassador"), "Starting to serve on 127.0.0.1:8001")
			// Nobody else reaches it.
			ip := s.sh(t, k+"get pod curl-with-ambassador -o jsonpath={.status.podIP}")
			if c, err := net.DialTimeout("tcp", net.JoinHostPort(ip, "8001"), stepTimeout); err == nil {
				c.Close()
				t.Error("the ambassador is reached from outside its pod")
			}
		})
	}
}

// TestAmbassadorReadsItsTokenAnew has the token of an ambassador replaced, and the former
// one end.
func TestAmbassadorReadsItsTokenAnew(t *testing.T) {
	t.Parallel()
	s := started(t, "--test-clock", "--service-account-extend-token-expiration=false")
	s.apply(t, "default", fmt.Sprintf(ambassadorPod, "laterna.dev/ambassador"))
	s.running(t, "default", "curl-with-ambassador")
	who := func() string {
		return s.sh(t, `kubectl exec curl-with-ambassador -- curl -s -X POST -H 'Content-Type: application/json' -d '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}' localhost:8001/apis/authentication.k8s.io/v1/selfsubjectreviews`)
	}
	contains(t, who(), "system:serviceaccount:default:default")
	for range 2 {
		s.sh(t, programs.Path("laterna")+" clock advance 2h --data-dir "+s.Dir)
		eventually(t, 20*time.Second, func() error {
			if got := who(); !strings.Contains(got, "system:serviceaccount:default:default") {
				return fmt.Errorf("%s", got)
			}
			return nil
		})
	}
}

// TestLaternaProxyIsKubectlsForThisMachineAlone tries the flags.
func TestLaternaProxyIsKubectlsForThisMachineAlone(t *testing.T) {
	t.Parallel()
	s := &stage{system: shared, ns: "default", client: shared.client(t)}
	laterna := programs.Path("laterna") + " proxy --data-dir " + s.Dir + " "
	for _, address := range []string{"0.0.0.0", "::", s.nodeIP(t), "example.com", ""} {
		contains(t, s.fails(t, laterna+"--port 0 --address '"+address+"'"), "--address: "+address+" is not of this machine alone")
	}
	contains(t, s.fails(t, laterna+"--port 1 --unix-socket=/tmp/x"), "cannot set --unix-socket and --port at the same time")
	contains(t, s.fails(t, laterna+"--port 0 --accept-paths='('"), "--accept-paths: error parsing regexp")

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	at := s.serves(t, "laterna", "proxy", "--data-dir", s.Dir, "--port=0", "--www="+dir, "--api-prefix=/own", "--reject-methods=POST", "--keepalive=1m")
	for _, c := range []struct {
		method, host, path string
		code               int
		text               string
	}{
		{"GET", at, "/own/api", 200, "APIVersions"},
		{"GET", at, "/static/page", 200, "text"},
		{"GET", at, "/api", 404, ""},
		{"POST", at, "/own/api/v1/namespaces", 403, "Forbidden"},
		{"GET", "evil.example", "/own/api", 403, "Forbidden"},
		{"GET", at, "/own/api/v1/namespaces/default/pods/x/exec", 403, "Forbidden"},
		{"GET", at, "/own/api/v1/namespaces/default/pods/x", 404, `pods \"x\" not found`},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+at+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.code || !strings.Contains(string(body), c.text) || err != nil {
			t.Errorf("%s %s of %s: %s %s, %v", c.method, c.path, c.host, resp.Status, body, err)
		}
	}

	socket := filepath.Join(dir, "s")
	s.serves(t, "laterna", "proxy", "--data-dir", s.Dir, "--unix-socket", socket)
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v", info, err)
	}
	contains(t, s.sh(t, "curl -s --unix-socket "+socket+" http://localhost/api"), "APIVersions")
}
