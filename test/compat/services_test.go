package compat

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// TestServicesOutliveWhatIsDoneToThem uses a system of its own, whose network is harmed.
func TestServicesOutliveWhatIsDoneToThem(t *testing.T) {
	t.Parallel()
	own := started(t)
	s := &stage{system: own, ns: "default", client: own.client(t)}
	dir, node := s.dataDir(t), s.nodeIP(t)
	labels := map[string]string{"app": "two"}
	s.apply(t, s.ns, strings.Join([]string{
		netserver("exec", nil, ""), netserver("one", labels, "", 8080), netserver("two", labels, "", 8080),
		// What answers with the address that it was asked from.
		netserver("mirror", map[string]string{"app": "mirror"}, ""), netserver("host", nil, "hostNetwork: true"),
	}, "\n---\n"))
	s.running(t, s.ns, "exec", "one", "two", "mirror", "host")
	s.mirror(t, "mirror")
	port := func(kind corev1.ServiceType, app string) *corev1.Service {
		return s.expose(t, corev1.ServiceSpec{Type: kind, Selector: map[string]string{"app": app}, Ports: []corev1.ServicePort{portTo("", "TCP", 80, 8080)}})
	}
	web, mirror := port(corev1.ServiceTypeNodePort, "two"), port(corev1.ServiceTypeClusterIP, "mirror")
	ip, nodePort := web.Spec.ClusterIP, int(web.Spec.Ports[0].NodePort)
	s.reaches(t, "exec", ip, 80, "one", "two")

	t.Run("a client keeps its address, a pod reaches itself", func(t *testing.T) {
		s.reaches(t, "exec", mirror.Spec.ClusterIP, 80, s.podIP(t, "exec"))
		gateway := s.podIP(t, "mirror")
		gateway = gateway[:strings.LastIndex(gateway, ".")] + ".1"
		s.reaches(t, "mirror", mirror.Spec.ClusterIP, 80, gateway)
		if global, err := os.ReadFile("/sys/class/net/" + dir.Bridge() + "/bridge/nf_call_iptables"); err != nil || strings.TrimSpace(string(global)) != "1" {
			t.Errorf("nf_call_iptables of the bridge is %q, %v", global, err)
		}
	})
	t.Run("an endpoint of the machine itself", func(t *testing.T) {
		// As the cluster's DNS is: at the gateway, for pods and whoever is in the machine's network.
		made := s.expose(t, corev1.ServiceSpec{Ports: []corev1.ServicePort{portTo("", "TCP", 80, 8080)}})
		gateway := s.podIP(t, "one")
		gateway = gateway[:strings.LastIndex(gateway, ".")] + ".1"
		s.answer(t, gateway, "the machine")
		s.slice(t, made.Name, gateway, slicePort("", 8080))
		s.reaches(t, "exec", made.Spec.ClusterIP, 80, "the machine")
		s.reaches(t, "host", made.Spec.ClusterIP, 80, "the machine")
	})
	t.Run("policies", func(t *testing.T) {
		local := s.expose(t, corev1.ServiceSpec{
			InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyLocal), Selector: labels, Ports: []corev1.ServicePort{portTo("", "TCP", 80, 8080)},
		})
		s.reaches(t, "exec", local.Spec.ClusterIP, 80, "one", "two")
		elsewhere := s.expose(t, corev1.ServiceSpec{
			InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyLocal), Ports: []corev1.ServicePort{portTo("", "TCP", 80, 8080)},
		})
		s.slice(t, elsewhere.Name, s.podIP(t, "one"), slicePort("", 8080)) // of no node
		eventually(t, 20*time.Second, func() error {
			began := time.Now()
			s.unanswered(t, "exec", elsewhere.Spec.ClusterIP, 80)
			if took := time.Since(began); took < 3*time.Second {
				return fmt.Errorf("refused after %v, want packets dropped", took)
			}
			return nil
		})
	})
	t.Run("UDP does not stay with an endpoint that is gone", func(t *testing.T) { s.movesUDP(t) })
	t.Run("a service changes its type", func(t *testing.T) {
		made := port(corev1.ServiceTypeClusterIP, "two")
		s.reaches(t, "exec", made.Spec.ClusterIP, 80, "one", "two")
		changed := s.patchService(t, made.Name, `{"spec":{"type":"NodePort"}}`)
		s.reaches(t, "exec", node, int(changed.Spec.Ports[0].NodePort), "one", "two")
		s.patchService(t, made.Name, `{"spec":{"type":"ExternalName","externalName":"foo.example.com"}}`)
		s.unanswered(t, "exec", made.Spec.ClusterIP, 80)
		s.unanswered(t, "exec", node, int(changed.Spec.Ports[0].NodePort))
		changed = s.patchService(t, made.Name, `{"spec":{"type":"ClusterIP","externalName":null}}`)
		s.reaches(t, "exec", changed.Spec.ClusterIP, 80, "one", "two")
	})
	t.Run("what others do while traffic flows", func(t *testing.T) {
		for _, harm := range []string{
			"nft flush table ip " + dir.HostName(), "nft delete table ip " + dir.HostName(),
			"nft flush map ip " + dir.HostName() + " service-ips", "ip link del " + dir.Bridge(),
		} {
			s.sh(t, harm)
			s.reaches(t, "exec", ip, 80, "one", "two")
			s.reaches(t, "exec", node, nodePort, "one", "two")
		}
	})
	t.Run("a restart interrupts nobody", func(t *testing.T) {
		var failed atomic.Int32
		var asking sync.WaitGroup
		stop := make(chan struct{})
		_, path := s.network(t, dir, s.ns, "exec")
		asking.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					if n < 10 {
						t.Errorf("asked only %d times", n)
					}
					return
				default:
				}
				if out, err := s.command(t, "nsenter", "--net="+path, "curl", "-sS", "-m", "5", "http://"+ip+"/hostname").CombinedOutput(); err != nil {
					failed.Add(1)
					t.Logf("%v: %s", err, out)
				}
			}
		})
		s.Kill()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		added := port(corev1.ServiceTypeClusterIP, "two")
		s.reaches(t, "exec", added.Spec.ClusterIP, 80, "one", "two")
		close(stop)
		asking.Wait()
		if n := failed.Load(); n > 0 {
			t.Errorf("%d connections failed", n)
		}
		if err := s.client.CoreV1().Services(s.ns).Delete(t.Context(), added.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		s.unanswered(t, "exec", added.Spec.ClusterIP, 80)
	})
}

// answerer says something to whoever connects, and whence where nothing is to be said.
const answerer = `import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    self.send_response(200); self.end_headers(); self.wfile.write((sys.argv[2] or self.client_address[0]).encode())
  def log_message(*_): pass
s = http.server.ThreadingHTTPServer((sys.argv[1], 8080), H); print("ready", flush=True); s.serve_forever()`

// mirror answers in a pod's network with the address that it was asked from.
func (s *stage) mirror(t *testing.T, pod string) {
	t.Helper()
	_, path := s.network(t, s.dataDir(t), s.ns, pod)
	s.background(t, "nsenter", "--net="+path, "python3", "-c", answerer, "", "")
}

// answer says something at an address of the machine.
func (s *stage) answer(t *testing.T, at, what string) {
	t.Helper()
	s.background(t, "python3", "-c", answerer, at, what)
}

// background runs a program that says when it is ready, until the test ends.
func (s *stage) background(t testing.TB, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
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

// movesUDP has a client that does not pause, and whose endpoint goes.
func (s *stage) movesUDP(t *testing.T) {
	s.serveUDP(t, "one", 8082)
	s.serveUDP(t, "two", 8082)
	made := s.expose(t, corev1.ServiceSpec{Ports: []corev1.ServicePort{portTo("", "UDP", 80, 8082)}})
	port := slicePort("", 8082)
	port.Protocol = ptr.To(corev1.ProtocolUDP)
	s.slice(t, made.Name, s.podIP(t, "one"), port)
	s.reachesUDP(t, "exec", made.Spec.ClusterIP, 80, "one")
	_, path := s.network(t, s.dataDir(t), s.ns, "exec")
	// One socket, a packet each 50 ms, until the other answers.
	const client = `import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((sys.argv[1], 80)); s.settimeout(0.05); last = ""
for _ in range(400):
  try:
    s.send(b"x"); said = s.recv(99).decode()
    if said != last: print(said, flush=True); last = said
    if said == "two": break
    time.sleep(0.05)
  except OSError: pass`
	var out strings.Builder
	cmd := exec.CommandContext(t.Context(), "nsenter", "--net="+path, "python3", "-c", client, made.Spec.ClusterIP)
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	s.sh(t, fmt.Sprintf(`kubectl patch -n %s $(kubectl get endpointslices -n %[1]s -l kubernetes.io/service-name=%s -o name) --type=merge -p '{"endpoints":[{"addresses":["%s"]}]}'`, s.ns, made.Name, s.podIP(t, "two")))
	if err := cmd.Wait(); err != nil || out.String() != "one\ntwo\n" {
		t.Errorf("answered by %q, %v", out.String(), err)
	}
}
