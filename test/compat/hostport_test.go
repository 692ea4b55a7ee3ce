package compat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/network/nftables"
)

// serving is a pod that answers at its port 8080 with its name. Before it is ready it asks
// itself, once, at the node's port that is its first.
func serving(name, more, ports string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %[1]s}
spec:
  terminationGracePeriodSeconds: 1
  %[2]s
  containers:
  - name: c
    image: busybox:1.28
    command:
    - sh
    - -c
    - mkdir /www; hostname > /www/hostname; httpd -p 8080 -h /www; printf 'GET /hostname HTTP/1.0\r\n\r\n' | nc -w 5 $NODE $PORT > /www/first; exec sleep 1d
    env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}, {name: PORT, value: %[4]q}]
    ports: [%[3]s]
`, name, more, ports, firstPort(ports))
}

// firstPort is the first hostPort of a list.
func firstPort(ports string) string {
	_, after, _ := strings.Cut(ports, "hostPort: ")
	return strings.FieldsFunc(after, func(r rune) bool { return r < '0' || r > '9' })[0]
}

// freePort is a port of the machine that nobody has now: ports are the machine's, and other
// runs of these tests may be on it.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// answers is what a pod says at a place of the node, over HTTP, or why there is no answer.
func answers(from *exec.Cmd) string {
	out, err := from.Output()
	if err != nil {
		return "no answer: " + stderrOf(err)
	}
	_, body, _ := strings.Cut(string(out), "\r\n\r\n")
	return strings.TrimSpace(body)
}

// ask asks from the machine, and inPod from a pod.
func (s *system) ask(t testing.TB, to string) string {
	t.Helper()
	return answers(s.command(t, "curl", "-sSi", "-m", "5", "http://"+to+"/hostname"))
}

func (s *system) inPod(t testing.TB, ns, pod, host, port string) string {
	t.Helper()
	return answers(s.command(t, "kubectl", "exec", "-n", ns, pod, "--", "sh", "-c", `printf 'GET /hostname HTTP/1.0\r\n\r\n' | nc -w 5 `+host+" "+port))
}

// nodeIP is the address of the only node.
func (s *system) nodeIP(t testing.TB) string {
	t.Helper()
	return s.sh(t, `kubectl get node -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}'`)
}

// waitsFor waits for an answer.
func waitsFor(t testing.TB, what, want string, ask func() string) {
	t.Helper()
	eventually(t, 15*time.Second, func() error {
		if got := ask(); !strings.HasPrefix(got, want) {
			return fmt.Errorf("%s: %q, want %q", what, got, want)
		}
		return nil
	})
}

// udpAnswerer answers in the network of a pod, as no program of the image does.
const udpAnswerer = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 8080)); print("ready", flush=True)
while True:
  d, a = s.recvfrom(99); s.sendto(b"echo " + d, a)`

func (s *system) answerUDP(t *testing.T, dir datadir.Dir, ns, pod string) {
	t.Helper()
	_, path := s.network(t, dir, ns, pod)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "nsenter", "--net="+path, "python3", "-c", udpAnswerer)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); cmd.Wait() })
	if _, err := out.Read(make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
}

func udp(to string) string {
	c, err := net.Dial("udp4", to)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	c.Write([]byte("x"))
	b := make([]byte, 99)
	n, err := c.Read(b)
	return string(b[:n]) + map[bool]string{true: "no answer"}[err != nil]
}

// dataDir is the system's data directory.
func (s *system) dataDir(t testing.TB) datadir.Dir {
	t.Helper()
	dir, err := datadir.Locate(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// led tells whether ports lead to pods of a system: whether it has the table.
func led(t *testing.T, dir datadir.Dir) bool {
	t.Helper()
	ok, err := nftables.Exists(t.Context(), nftables.Inet, dir.HostName())
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// TestPortsOfTheNodeLeadToPods has a system of its own, which is killed and whose rules are
// removed.
func TestPortsOfTheNodeLeadToPods(t *testing.T) {
	t.Parallel()
	s := started(t)
	dir := s.dataDir(t)
	if led(t, dir) {
		t.Error("there is a table before there is a port")
	}
	node, all, loopback, none := s.nodeIP(t), freePort(t), freePort(t), freePort(t)
	s.apply(t, "default", fmt.Sprintf(sleeper, "peer"))
	s.apply(t, "default", serving("web", "", fmt.Sprintf("{containerPort: 8080, hostPort: %[1]s}, {containerPort: 8080, hostPort: %[1]s, protocol: UDP}, {containerPort: 8080, hostPort: %[2]s, hostIP: 127.0.0.1}", all, loopback)))
	s.running(t, "default", "web", "peer")
	s.answerUDP(t, dir, "default", "web")
	reached := func(when string) {
		t.Helper()
		for what, ask := range map[string]func() string{
			"127.0.0.1":             func() string { return s.ask(t, "127.0.0.1:"+all) },
			"the node":              func() string { return s.ask(t, node+":"+all) },
			"127.0.0.1 alone":       func() string { return s.ask(t, "127.0.0.1:"+loopback) },
			"from another pod":      func() string { return s.inPod(t, "default", "peer", node, all) },
			"from the pod itself":   func() string { return s.inPod(t, "default", "web", node, all) },
			"UDP, 127.0.0.1":        func() string { return strings.Replace(udp("127.0.0.1:"+all), "echo x", "web", 1) },
			"UDP, the node's":       func() string { return strings.Replace(udp(node+":"+all), "echo x", "web", 1) },
			"first thing of itself": func() string { return s.exec(t, "default", "web", "tail", "-1", "/www/first") },
		} {
			waitsFor(t, when+", "+what, "web", ask)
		}
		for _, to := range []string{node + ":" + loopback, "127.0.0.1:" + none} {
			if got := s.ask(t, to); !strings.HasPrefix(got, "no answer") {
				t.Errorf("%s, %s: %q", when, to, got)
			}
		}
	}
	reached("as it starts")
	s.sh(t, "nft delete table inet "+dir.HostName())
	reached("after its table was removed")
	s.Kill()
	if got := s.ask(t, "127.0.0.1:"+all); got != "web" {
		t.Errorf("while laterna does not run: %q", got)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	reached("after laterna was killed")

	// A pod that names its node itself, and one that comes as soon as the port is free.
	name := s.sh(t, "kubectl get node -o jsonpath='{.items[0].metadata.name}'")
	s.apply(t, "default", serving("bound", "nodeName: "+name, "{containerPort: 8080, hostPort: "+loopback+"}"))
	eventually(t, 20*time.Second, func() error {
		const want = "Failed NodePorts: Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
		if got := s.field(t, "default", "pod/bound", "{.status.phase} {.status.reason}: {.status.message}"); got != want {
			return fmt.Errorf("%q, want %q", got, want)
		}
		return nil
	})
	s.apply(t, "default", serving("next", "", "{containerPort: 8080, hostPort: "+all+"}"))
	s.sh(t, "kubectl delete pod web")
	s.running(t, "default", "next")
	waitsFor(t, "the next pod", "next", func() string { return s.ask(t, "127.0.0.1:"+all) })
	s.sh(t, "kubectl delete pod next bound")
	eventually(t, 10*time.Second, func() error {
		if led(t, dir) {
			return errors.New("the table is still there")
		}
		return nil
	})
	if raw, err := os.ReadFile("/proc/sys/net/ipv4/conf/" + dir.Bridge() + "/route_localnet"); err != nil || strings.TrimSpace(string(raw)) != "0" {
		t.Errorf("the loopback is routed: %q, %v", raw, err)
	}
}

// TestWhoElseIsAtAPortIsTold has a process of the machine and another system there, and the
// API of the system itself, which must not be led away.
func TestWhoElseIsAtAPortIsTold(t *testing.T) {
	t.Parallel()
	s := started(t)
	dir := s.dataDir(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	own := netip.MustParseAddrPort(s.Listen).Port()
	taken := netip.MustParseAddrPort(l.Addr().String()).Port()
	ns, both := shared.namespace(t), freePort(t)
	shared.apply(t, ns, serving("there", "", "{containerPort: 8080, hostPort: "+both+"}"))
	shared.running(t, ns, "there")
	s.apply(t, "default", serving("web", "", fmt.Sprintf("{containerPort: 8080, hostPort: %s}, {containerPort: 8080, hostPort: %d}, {containerPort: 8080, hostPort: %d}", both, own, taken)))
	s.running(t, "default", "web")
	eventually(t, 10*time.Second, func() error {
		told := s.field(t, "default", "events --field-selector=reason=HostPortConflict", `{range .items[*]}{.type} {.message}{"\n"}{end}`)
		for _, want := range []string{
			"Warning Host port " + both + "/TCP leads to a pod of another system on this machine as well (nftables table inet ",
			fmt.Sprintf("Warning Host port %d/TCP does not lead to the pod where Laterna itself listens (%d/TCP at 127.0.0.1)", own, own),
			fmt.Sprintf("Warning Host port %d/TCP is in use by compat.test (process %d) on the node: new connections to it go to the pod instead", taken, os.Getpid()),
		} {
			if !strings.Contains(told, want) {
				return fmt.Errorf("told %s; not %q", told, want)
			}
		}
		return nil
	})
	s.sh(t, "kubectl get --raw /readyz")
	if got := s.ask(t, l.Addr().String()); got != "web" {
		t.Errorf("at the port of the process: %q", got)
	}
	if got := s.ask(t, fmt.Sprintf("%s:%d", s.nodeIP(t), own)); got != "web" {
		t.Errorf("at another address than the API's: %q", got)
	}
	s.Stop()
	if out, err := exec.Command(programs.Path("laterna"), "down", "--grace-period=0s", "--data-dir", s.Dir).CombinedOutput(); err != nil || led(t, dir) {
		t.Errorf("after down: %v, table %v: %s", err, led(t, dir), out)
	}
}
