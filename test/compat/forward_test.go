package compat

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/client-go/rest"
)

var forwardingFrom = regexp.MustCompile(`^Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)`)

// forward runs kubectl port-forward until the end of the test and returns the local
// address; ports is as a user writes it.
func (s *system) forward(t testing.TB, ns string, webSockets bool, target, ports string) (address string) {
	t.Helper()
	cmd := s.command(t, "kubectl", "port-forward", "-n", ns, target, ports)
	cmd.Env = append(cmd.Env, "KUBECTL_PORT_FORWARD_WEBSOCKETS="+strconv.FormatBool(webSockets))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := forwardingFrom.FindStringSubmatch(lines.Text()); m != nil {
			second := fmt.Sprintf("Forwarding from [::1]:%s -> %s", m[1], m[2])
			if hasLoopback6() && (!lines.Scan() || lines.Text() != second) {
				t.Errorf("kubectl port-forward says %q, want %q", lines.Text(), second)
			}
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return "127.0.0.1:" + m[1]
		}
	}
	_ = cmd.Wait()
	t.Fatalf("kubectl port-forward %s %s ended: %s", target, ports, said.String())
	return ""
}

// hasLoopback6 tells whether the machine has [::1].
func hasLoopback6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}

const fortuneConfigPod = `
apiVersion: v1
kind: Pod
metadata: {name: fortune-configmap-volume, labels: {app: fortune}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: html-generator
    image: luksa/fortune:env
    env:
    - name: INTERVAL
      valueFrom: {configMapKeyRef: {name: fortune-config, key: sleep-interval}}
    volumeMounts:
    - {name: html, mountPath: /var/htdocs}
  - name: web-server
    image: nginx:alpine
    volumeMounts:
    - {name: html, mountPath: /usr/share/nginx/html, readOnly: true}
    - {name: config, mountPath: /etc/nginx/conf.d, readOnly: true}
    ports: [{containerPort: 80, name: web}]
  volumes:
  - {name: html, emptyDir: {}}
  - {name: config, configMap: {name: fortune-config}}
---
apiVersion: v1
kind: Service
metadata: {name: fortune}
spec: {selector: {app: fortune}, ports: [{port: 8080, targetPort: web}]}
`

func TestB18ConfigServedThroughPortForward(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	dir := writeFortuneConfig(t, "on")
	s.sh(t, "cd "+dir+" && kubectl create configmap -n "+ns+" fortune-config --from-file=configmap-files")
	s.apply(t, ns, fortuneConfigPod)
	s.running(t, ns, "fortune-configmap-volume")
	if got := s.sh(t, "kubectl exec -n "+ns+" fortune-configmap-volume -c web-server -- ls /etc/nginx/conf.d"); got != "my-nginx-config.conf\nsleep-interval\n" {
		t.Errorf("ls prints %q", got)
	}
	for what, tt := range map[string]struct {
		webSockets   bool
		target, port string
	}{
		"WebSocket":         {true, "fortune-configmap-volume", ":80"},
		"SPDY":              {false, "pod/fortune-configmap-volume", ":80"},
		"service":           {true, "service/fortune", ":8080"},
		"name of the port":  {false, "pod/fortune-configmap-volume", ":web"},
		"service over SPDY": {false, "service/fortune", ":8080"},
	} {
		address := s.forward(t, ns, tt.webSockets, tt.target, tt.port)
		var answer string
		eventually(t, 20*time.Second, func() (err error) { // until the generator has written
			out, err := s.command(t, "curl", "-sS", "-f", "-H", "Accept-Encoding: gzip", "-I", address).Output()
			answer = string(out)
			return err
		})
		if !strings.Contains(answer, "Content-Encoding: gzip") {
			t.Errorf("%s: %s", what, answer)
		}
	}
}

const echoPod = `
apiVersion: v1
kind: Pod
metadata: {name: %[1]s}
spec:
  terminationGracePeriodSeconds: 0
  hostNetwork: %[2]t
  containers:
  - {name: sum, image: "busybox:1.28", command: [nc, -ll, -p, "%[3]d", -e, sh, -c, "sha256sum; echo end"]}
  - {name: much, image: "busybox:1.28", command: [nc, -ll, -p, "%[4]d", -e, sh, -c, "yes 0123456789abcde | head -n 1000000"]}
`

// TestForwardedConnectionsAreWholeBothWays sends until an end that only the client's half
// has, and reads slowly what a pod has written and closed, on the pod's network and the
// host's.
func TestForwardedConnectionsAreWholeBothWays(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	free := func() int {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().(*net.TCPAddr).Port
	}
	sum, much := free(), free()
	s.apply(t, ns, fmt.Sprintf(echoPod, "own", false, 7001, 7002))
	s.apply(t, ns, fmt.Sprintf(echoPod, "host", true, sum, much))
	s.running(t, ns, "own", "host")
	body := bytes.Repeat([]byte("some bytes that are sent\n"), 200_000)
	want := sha256.Sum256(body)
	var all sync.WaitGroup
	for _, tt := range []struct {
		pod        string
		webSockets bool
		sum, much  int
	}{{"own", true, 7001, 7002}, {"own", false, 7001, 7002}, {"host", true, sum, much}} {
		up := s.forward(t, ns, tt.webSockets, tt.pod, fmt.Sprintf(":%d", tt.sum))
		down := s.forward(t, ns, tt.webSockets, tt.pod, fmt.Sprintf(":%d", tt.much))
		all.Go(func() {
			conn, err := net.Dial("tcp", up)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = conn.Write(body)
			_ = conn.(*net.TCPConn).CloseWrite()
			got, err := io.ReadAll(conn)
			if text := string(got); err != nil || !strings.HasPrefix(text, hex.EncodeToString(want[:])) || !strings.HasSuffix(text, "end\n") {
				t.Errorf("%s, WebSocket %t: sent to a half close, got %q, %v", tt.pod, tt.webSockets, got, err)
			}
		})
		all.Go(func() {
			conn, err := net.Dial("tcp", down)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			time.Sleep(pause)
			if n, err := io.Copy(io.Discard, conn); n != 16_000_000 || err != nil {
				t.Errorf("%s, WebSocket %t: a slow reader got %d bytes of 16000000, %v", tt.pod, tt.webSockets, n, err)
			}
		})
	}
	all.Wait()
}

func TestPortForwardNeedsItsRight(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, pullerPod("p", "busybox:1.28", ""))
	s.running(t, ns, "p")
	s.sh(t, "kubectl create sa -n "+ns+" reader && kubectl create role -n "+ns+" reader --verb=get --resource=pods,pods/portforward && "+
		"kubectl create rolebinding -n "+ns+" reader --role=reader --serviceaccount="+ns+":reader")
	as := " --as=system:serviceaccount:" + ns + ":reader"
	for _, sockets := range []string{"true", "false"} {
		out := s.fails(t, "KUBECTL_PORT_FORWARD_WEBSOCKETS="+sockets+" kubectl port-forward -n "+ns+as+" p :80")
		contains(t, out, "forbidden")
	}
	out := s.fails(t, "kubectl port-forward -n "+ns+" nobody :80")
	contains(t, out, `pods "nobody" not found`)
}

// TestFilesAreCopiedBothWays is kubectl cp.
func TestFilesAreCopiedBothWays(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, pullerPod("p", "busybox:1.28", ""))
	s.running(t, ns, "p")
	dir := t.TempDir()
	big := bytes.Repeat([]byte{0, 1, 2, 0xff, '\n', '\r', 3}, 1_000_000)
	if err := os.MkdirAll(filepath.Join(dir, "tree", "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{"big": big, "tree/a b": []byte("spaces\n"), "tree/below/empty": nil, "tree/below/big": big} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, sockets := range []string{"true", "false"} {
		line := func(text string) string {
			return s.sh(t, "cd "+dir+" && export KUBECTL_REMOTE_COMMAND_WEBSOCKETS="+sockets+" && "+text)
		}
		line("kubectl cp -n " + ns + " big p:/tmp/big" + sockets)
		line("kubectl cp -n " + ns + " p:/tmp/big" + sockets + " back" + sockets)
		line("cmp big back" + sockets)
		line("kubectl cp -n " + ns + " tree p:/tmp/tree" + sockets)
		line("kubectl cp -n " + ns + " p:/tmp/tree" + sockets + " tree" + sockets)
		line("diff -r tree tree" + sockets)
	}
}

// TestLogsAreFollowedOverRotation follows more than the size at which a log is rotated.
func TestLogsAreFollowedOverRotation(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	const lines = 400_000 // of 64 bytes with their time stamps: more than 10 MiB twice
	s.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: "busybox:1.28"
    command: [sh, -c, "sleep 2; i=0; while [ $i -lt 8 ]; do seq $((i*50000+1)) $((i*50000+50000)); i=$((i+1)); sleep 4; done"]
`)
	eventually(t, 30*time.Second, func() error {
		if phase := s.field(t, ns, "pod/p", "{.status.phase}"); phase != "Running" {
			return fmt.Errorf("phase %s", phase)
		}
		return nil
	})
	cmd := s.command(t, "kubectl", "logs", "-n", ns, "-f", "p")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	want := 1
	for scanner := bufio.NewScanner(out); scanner.Scan(); want++ {
		if scanner.Text() != strconv.Itoa(want) {
			t.Fatalf("after line %d comes %q", want-1, scanner.Text())
		}
	}
	if err := cmd.Wait(); err != nil || want != lines+1 {
		t.Errorf("%d lines of %d, %v", want-1, lines, err)
	}
	if rotated, _ := filepath.Glob(filepath.Join(s.Dir, "logs", "pods", ns+"_p_*", "main", "0.log.*")); len(rotated) == 0 {
		t.Error("the log was never rotated")
	}
}

func TestLogParametersAndLongLines(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: "busybox:1.28", command: [sh, -c, "echo first; head -c 50000 /dev/zero | tr '\\000' x; echo; echo $(date +%s); [ -f /tmp/again ] || sleep 3; echo last; exit 1"]}
`)
	eventually(t, 40*time.Second, func() error {
		if n := s.field(t, ns, "pod/p", "{.status.containerStatuses[0].restartCount}"); n == "" || n == "0" {
			return fmt.Errorf("%s restarts", n)
		}
		return nil
	})
	log := func(o string) string { return s.sh(t, "kubectl logs -n "+ns+" p "+o) }
	previous := log("--previous")
	all := strings.Split(strings.TrimSuffix(previous, "\n"), "\n")
	if len(all) != 4 || all[0] != "first" || all[1] != strings.Repeat("x", 50_000) || all[3] != "last" {
		t.Fatalf("the log before has %d lines", len(all))
	}
	if got := log("--previous --tail=1"); got != "last\n" {
		t.Errorf("tail: %q", got)
	}
	if got := log("--previous --tail=0"); got != "" {
		t.Errorf("tail 0: %q", got)
	}
	if got := log("--previous --limit-bytes=10"); got != "first\nxxxx" {
		t.Errorf("limit: %q", got)
	}
	stamped := strings.Split(strings.TrimSuffix(log("--previous --timestamps"), "\n"), "\n")
	if len(stamped) != 4 {
		t.Fatalf("%d lines with time stamps", len(stamped))
	}
	var times []string
	for i, line := range stamped {
		at, text, _ := strings.Cut(line, " ")
		if _, err := time.Parse("2006-01-02T15:04:05.000000000Z", at); err != nil || text != all[i] {
			t.Errorf("line %d: %.60q, %v", i, line, err)
		}
		times = append(times, at)
	}
	last, err := time.Parse(time.RFC3339Nano, times[3])
	if err != nil {
		t.Fatal(err)
	}
	if got := log("--previous --since-time=" + last.Add(-time.Second).UTC().Format(time.RFC3339)); got != "last\n" {
		t.Errorf("since-time: %.60q", got)
	}
}

func TestLogOverWebSocketIsWhole(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "busybox:1.28", command: [sh, -c, "seq 20000"]}]
`)
	eventually(t, 30*time.Second, func() error {
		if phase := s.field(t, ns, "pod/p", "{.status.phase}"); phase != "Succeeded" {
			return fmt.Errorf("phase %s", phase)
		}
		return nil
	})
	config := s.config(t)
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for i := range 20_000 {
		fmt.Fprintln(&want, i+1)
	}
	for _, protocol := range []string{"", "binary.k8s.io"} {
		dialer := &websocket.Dialer{TLSClientConfig: tlsConfig}
		if protocol != "" {
			dialer.Subprotocols = []string{protocol}
		}
		ws, _, err := dialer.Dial(strings.Replace(config.Host, "https", "wss", 1)+"/api/v1/namespaces/"+ns+"/pods/p/log", http.Header{})
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		var ended error
		for {
			var message []byte
			if _, message, ended = ws.ReadMessage(); ended != nil {
				break
			}
			got.Write(message)
		}
		ws.Close()
		if got.String() != want.String() {
			t.Errorf("%q: %d bytes of %d, then %v", protocol, got.Len(), want.Len(), ended)
		}
	}
}
