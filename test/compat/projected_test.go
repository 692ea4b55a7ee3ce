package compat

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const volumeTest = `
apiVersion: v1
kind: Pod
metadata:
  name: volume-test
  labels: {tier: front, app: demo}
spec:
  containers:
  - name: container-test
    image: busybox:1.28
    command: ["sleep", "3600"]
    resources: {limits: {cpu: 500m}}
    volumeMounts:
    - name: all-in-one
      mountPath: "/projected-volume"
      readOnly: true
  volumes:
  - name: all-in-one
    projected:
      sources:
      - secret:
          name: mysecret
          items:
          - key: username
            path: my-group/my-username
      - downwardAPI:
          items:
          - path: "labels"
            fieldRef:
              fieldPath: metadata.labels
          - path: "cpu_limit"
            resourceFieldRef:
              containerName: container-test
              resource: limits.cpu
      - configMap:
          name: myconfigmap
          items:
          - key: config
            path: my-group/my-config
`

func TestP1AllInOneVolume(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.sh(t, "kubectl create secret generic mysecret --from-literal=username=admin -n "+ns)
	shared.sh(t, "kubectl create configmap myconfigmap --from-literal=config='a=b' -n "+ns)
	shared.apply(t, ns, volumeTest)
	shared.running(t, ns, "volume-test")
	for file, want := range map[string]string{
		"labels": "app=\"demo\"\ntier=\"front\"", "cpu_limit": "1", "my-group/my-username": "admin", "my-group/my-config": "a=b",
	} {
		if got := shared.exec(t, ns, "volume-test", "cat", "/projected-volume/"+file); got != want {
			t.Errorf("%s holds %q, want %q", file, got, want)
		}
	}
	list := shared.exec(t, ns, "volume-test", "ls", "/projected-volume")
	if got := strings.Join(strings.Fields(list), " "); got != "cpu_limit labels my-group" {
		t.Errorf("ls prints %q", got)
	}
	if out := shared.fails(t, "kubectl exec -n "+ns+" volume-test -- touch /projected-volume/new"); !strings.Contains(out, "Read-only file system") {
		t.Errorf("writing into the volume: %s", out)
	}
}

// modesPod mounts two secrets; the second one's item may have a mode.
func modesPod(name, extra, mode string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata:
  name: %s
spec:
  containers:
  - name: container-test
    image: busybox:1.28
    command: ["sleep", "3600"]
    volumeMounts:
    - name: all-in-one
      mountPath: "/projected-volume"
      readOnly: true
  volumes:
  - name: all-in-one
    projected:
%s
      sources:
      - secret:
          name: mysecret
          items:
          - key: username
            path: my-group/my-username
      - secret:
          name: mysecret2
          items:
          - key: password
            path: my-group/my-password
%s`, name, extra, mode)
}

func TestP2ModeOfOneItem(t *testing.T) {
	t.Parallel()
	ns := twoSecrets(t)
	shared.apply(t, ns, modesPod("volume-test", "", "            mode: 511\n"))
	shared.running(t, ns, "volume-test")
	wantModes(t, ns, "volume-test", map[string]string{"my-group/my-password": "777", "my-group/my-username": "644"})
}

func TestP3DefaultModeAndUnknownFields(t *testing.T) {
	t.Parallel()
	ns := twoSecrets(t)
	shared.apply(t, ns, modesPod("volume-test", "      defaultMode: 0400", "            mode: 0440\n"))
	shared.running(t, ns, "volume-test")
	wantModes(t, ns, "volume-test", map[string]string{"my-group/my-password": "440", "my-group/my-username": "400"})

	misplaced := strings.Replace(modesPod("bad", "", ""), "          name: mysecret\n", "          name: mysecret\n          defaultMode: 256\n", 1)
	contains(t, shared.refused(t, ns, misplaced), `unknown field "spec.volumes[0].projected.sources[0].secret.defaultMode"`)
	wrongName := strings.Replace(modesPod("bad", "", ""), "          name: mysecret\n", "          secretName: mysecret\n", 1)
	contains(t, shared.refused(t, ns, wrongName), `unknown field "spec.volumes[0].projected.sources[0].secret.secretName"`)
	tooBig := modesPod("bad", "      defaultMode: 01000", "")
	contains(t, shared.refused(t, ns, tooBig), "spec.volumes[0].projected.defaultMode", "must be a number between 0 and 0777 (octal), both inclusive")
}

func twoSecrets(t *testing.T) (namespace string) {
	t.Helper()
	ns := shared.namespace(t)
	shared.sh(t, "kubectl create secret generic mysecret --from-literal=username=admin -n "+ns)
	shared.sh(t, "kubectl create secret generic mysecret2 --from-literal=password=secret -n "+ns)
	return ns
}

func wantModes(t *testing.T, ns, pod string, modes map[string]string) {
	t.Helper()
	for file, want := range modes {
		got := strings.TrimSpace(shared.exec(t, ns, pod, "stat", "-L", "-c", "%a %u %g", "/projected-volume/"+file))
		if got != want+" 0 0" {
			t.Errorf("%s has mode and owner %s, want %s 0 0", file, got, want)
		}
	}
}

const saTokenTest = `
apiVersion: v1
kind: Pod
metadata:
  name: sa-token-test
spec:
  containers:
  - name: container-test
    image: busybox:1.28
    command: ["sleep", "3600"]
    volumeMounts:
    - name: token-vol
      mountPath: "/service-account"
      readOnly: true
  serviceAccountName: default
  volumes:
  - name: token-vol
    projected:
      sources:
      - serviceAccountToken:
          audience: %s
          expirationSeconds: 3600
          path: token
`

func TestP4TokenOnTheAPIServer(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	for _, tc := range []struct {
		audience string
		status   int
	}{
		{"api", http.StatusForbidden}, // known, but without rights
		{"somebody-else", http.StatusUnauthorized},
	} {
		pod := strings.Replace(fmt.Sprintf(saTokenTest, tc.audience), "sa-token-test", "for-"+tc.audience, 1)
		shared.apply(t, ns, pod)
		shared.running(t, ns, "for-"+tc.audience)
		token := shared.exec(t, ns, "for-"+tc.audience, "cat", "/service-account/token")
		if got := statusWith(t, shared, token, "/api/v1/nodes"); got != tc.status {
			t.Errorf("audience %s: status %d, want %d", tc.audience, got, tc.status)
		}
	}
}

// statusWith asks the API with a bearer token alone and returns the HTTP status.
func statusWith(t testing.TB, s *system, token, path string) int {
	t.Helper()
	config := rest.AnonymousClientConfig(s.config(t))
	config.BearerToken = strings.TrimSpace(token)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Get(config.Host + path)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestP5MaxTokenExpiration(t *testing.T) {
	s := started(t, "--node=false", "--service-account-max-token-expiration=1h")
	warned := s.sh(t, "kubectl create sa build-robot && kubectl create token build-robot --duration 7200s 2>&1")
	contains(t, warned, "Warning: requested expiration of 7200 seconds shortened to 3600 seconds")
	contains(t, s.Log(), "injected tokens are not extended")
	seconds := int64(7200)
	r, err := s.client(t).CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "build-robot", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c := decode(t, r.Status.Token); c.Expiry-c.IssuedAt != 3600 || *r.Spec.ExpirationSeconds != 3600 {
		t.Errorf("life %d, spec says %d, want 3600", c.Expiry-c.IssuedAt, *r.Spec.ExpirationSeconds)
	}
}
