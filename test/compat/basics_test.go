package compat

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestB1ClusterInfoAndNoCredentials(t *testing.T) {
	t.Parallel()
	contains(t, shared.sh(t, "kubectl cluster-info"), "Kubernetes control plane", "is running at", "https://"+shared.Listen)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + shared.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var status metav1.Status
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusForbidden || status.Kind != "Status" || status.Reason != metav1.StatusReasonForbidden ||
		status.Message != `forbidden: User "system:anonymous" cannot get path "/"` {
		t.Errorf("status %d, body %+v", resp.StatusCode, status)
	}
	if got := statusWith(t, shared, "not-a-token", "/"); got != http.StatusUnauthorized {
		t.Errorf("a bad token: status %d, want 401", got)
	}
}

const curlPod = `
apiVersion: v1
kind: Pod
metadata:
  name: curl
spec:
  containers:
  - name: main
    image: tutum/curl
    command: ["sleep", "9999999"]
`

func TestB3InteractiveShell(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.apply(t, ns, curlPod)
	shared.running(t, ns, "curl")
	term := openTerminal(t, 24, 80)
	cmd := shared.command(t, "kubectl", "exec", "-it", "-n", ns, "curl", "--", "bash")
	term.start(t, cmd)
	term.expect(t, "#")
	term.send(t, "tty; stty size\n")
	term.expect(t, "/dev/pts/")
	term.expect(t, "24 80")
	term.resize(t, cmd, 33, 101)
	term.send(t, "for i in 1 2 3 4 5 6 7 8 9 10; do [ \"$(stty size)\" = '33 101' ] && break; sleep 0.1; done; stty size\n")
	term.expect(t, "33 101")
	term.send(t, "exit 7\n")
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("kubectl exited with %d (%v), want 7", cmd.ProcessState.ExitCode(), err)
	}
	if out, err := shared.command(t, "kubectl", "exec", "-n", ns, "curl", "--", "bash", "-c", "echo out; echo err >&2; exit 3").Output(); string(out) != "out\n" || err == nil {
		t.Errorf("without a terminal: stdout %q, %v", out, err)
	}
	in := shared.command(t, "kubectl", "exec", "-i", "-n", ns, "curl", "--", "cat")
	in.Stdin = strings.NewReader("through and back")
	if out, err := in.Output(); err != nil || string(out) != "through and back" {
		t.Errorf("standard input came back as %q, %v", out, err)
	}
}

func TestB13Secrets(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	dir := t.TempDir()
	binary := string([]byte{0, 1, 0xfe, 0xff, '\n'})
	for name, content := range map[string]string{"https.key": binary, "https.cert": "CERT", "foo": "bar\n", "d/one": "1", "d/two": "2"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := "cd " + dir + " && kubectl -n " + ns + " "
	shared.sh(t, in+"create secret generic fortune-https --from-file=https.key --from-file=https.cert --from-file=foo")
	yaml := shared.sh(t, in+"get secret fortune-https -o yaml")
	contains(t, yaml, "foo: YmFyCg==", "https.key: AAH+/wo=", "type: Opaque")
	shared.sh(t, in+"create secret generic from-dir --from-file=d")
	contains(t, shared.sh(t, in+"describe secret from-dir"), "one:  1 bytes", "two:  1 bytes")

	shared.sh(t, "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=www.kubia-example.com -keyout "+dir+"/tls.key -out "+dir+"/tls.crt 2>/dev/null")
	shared.sh(t, in+"create secret tls my-tls --cert=tls.crt --key=tls.key")
	shared.sh(t, in+"create secret docker-registry regcred --docker-username=u --docker-password=p --docker-server=registry.example.com")
	table := shared.sh(t, in+"get secrets")
	contains(t, table, "kubernetes.io/tls", "kubernetes.io/dockerconfigjson", "TYPE", "DATA", "AGE")

	shared.apply(t, ns, "apiVersion: v1\nkind: Secret\nmetadata: {name: old-format}\ntype: kubernetes.io/dockercfg\nstringData: {.dockercfg: '{}'}\n")
	shared.apply(t, ns, "apiVersion: v1\nkind: Secret\nmetadata: {name: merged}\nstringData: {foo: plain text}\ndata: {bar: eHl6enk=, foo: b3ZlcnJpZGRlbg==}\n")
	merged := shared.sh(t, in+"get secret merged -o jsonpath='{.data} {.stringData}'")
	contains(t, merged, `"bar":"eHl6enk="`, `"foo":"cGxhaW4gdGV4dA=="`)
	if !strings.HasSuffix(merged, "} ") {
		t.Errorf("stringData is readable: %s", merged)
	}
	contains(t, shared.refused(t, ns, "apiVersion: v1\nkind: Secret\nmetadata: {name: bad}\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: 'not json'}\n"),
		"data[.dockerconfigjson]", "Invalid value")

	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, shared.fails(t, in+"create secret generic big --from-file=big"), "data", "Too long", "1048576")

	shared.apply(t, ns, fmt.Sprintf(secretPod, "uses"))
	shared.running(t, ns, "uses")
	if got := shared.exec(t, ns, "uses", "sh", "-c", "cat /s/https.key | od -An -tx1"); strings.TrimSpace(got) != "00 01 fe ff 0a" {
		t.Errorf("binary value in the file: %q", got)
	}
	if got := shared.exec(t, ns, "uses", "sh", "-c", `printf %s "$FOO"`); got != "bar\n" {
		t.Errorf("value in the environment: %q", got)
	}
}

const secretPod = `
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  containers:
  - name: main
    image: busybox:1.28
    command: [sleep, "3600"]
    env: [{name: FOO, valueFrom: {secretKeyRef: {name: fortune-https, key: foo}}}]
    volumeMounts: [{name: s, mountPath: /s}]
  volumes: [{name: s, secret: {secretName: fortune-https}}]
`

func TestB17ConfigMapsFromFiles(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	dir := writeFortuneConfig(t, "on")
	in := "cd " + dir + " && kubectl -n " + ns + " "
	shared.sh(t, in+"create configmap fortune-config --from-literal=sleep-interval=25")
	contains(t, shared.sh(t, in+"delete configmap fortune-config"), `configmap "fortune-config" deleted`)
	contains(t, shared.sh(t, in+"create configmap fortune-config --from-file=configmap-files"), "configmap/fortune-config created")
	contains(t, shared.sh(t, in+"get configmap fortune-config -o yaml"),
		"my-nginx-config.conf: |\n    server {\n", "sleep-interval: |\n    25\n", "kind: ConfigMap")
	contains(t, shared.sh(t, in+"get cm"), "NAME", "DATA", "AGE", "fortune-config     2")
}

// writeFortuneConfig writes the directory configmap-files of the document.
func writeFortuneConfig(t testing.TB, gzip string) (parent string) {
	t.Helper()
	parent = t.TempDir()
	dir := filepath.Join(parent, "configmap-files")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"my-nginx-config.conf": nginxConfig(gzip), "sleep-interval": "25\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return parent
}

func nginxConfig(gzip string) string {
	return `server {
    listen              80;
    server_name         www.kubia-example.com;

    gzip ` + gzip + `;
    gzip_types text/plain application/xml;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }
}
`
}

// drain reads what is left of a response.
func drain(body io.ReadCloser) {
	io.Copy(io.Discard, body)
	body.Close()
}
