package compat

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// netserver is a pod that answers with its name over HTTP at ports, and with labels that
// services select it by.
func netserver(name string, labels map[string]string, more string, ports ...int) string {
	var serve strings.Builder
	for _, p := range ports {
		fmt.Fprintf(&serve, "httpd -p %d -h /www; ", p)
	}
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, k+": "+labels[k])
	}
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {%s}}
spec:
  terminationGracePeriodSeconds: 1
  %s
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "mkdir /www; echo %s > /www/hostname; %s exec sleep 1d"]
`, name, strings.Join(pairs, ", "), more, name, serve.String())
}

// answerers are who answers at a place to so many connections from a pod, "" where there is
// no answer.
func (s *stage) answerers(t testing.TB, from, host string, port, times int) []string {
	t.Helper()
	line := fmt.Sprintf(`for i in $(seq %d); do echo "=$(printf 'GET /hostname HTTP/1.0\r\n\r\n' | nc -w 3 %s %d 2>/dev/null | tail -n 1)"; done`, times, host, port)
	out, err := s.command(t, "kubectl", "exec", "-n", s.ns, from, "-c", "c", "--", "sh", "-c", line).Output()
	if err != nil {
		return []string{err.Error()}
	}
	var names []string
	for l := range strings.Lines(string(out)) {
		names = append(names, strings.TrimPrefix(strings.TrimSpace(l), "="))
	}
	return names
}

// reaches waits until connections from a pod reach all of these, and no others.
func (s *stage) reaches(t testing.TB, from, host string, port int, want ...string) {
	t.Helper()
	seen := map[string]bool{}
	eventually(t, 30*time.Second, func() error {
		for _, n := range s.answerers(t, from, host, port, 4*len(want)) {
			if !slices.Contains(want, n) {
				clear(seen)
				return fmt.Errorf("%s:%d from %s is answered by %q, want one of %q", host, port, from, n, want)
			}
			seen[n] = true
		}
		if len(seen) != len(want) {
			return fmt.Errorf("%s:%d from %s is answered only by %v, want %q", host, port, from, seen, want)
		}
		return nil
	})
}

// unanswered waits until connections from a pod are not answered.
func (s *stage) unanswered(t testing.TB, from, host string, port int) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		if n := s.answerers(t, from, host, port, 1); n[0] != "" {
			return fmt.Errorf("%s:%d from %s is answered by %q", host, port, from, n)
		}
		return nil
	})
}

// udpServer answers with a name in the network of a pod, as no program of the image does.
const udpServer = `import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", int(sys.argv[1]))); print("ready", flush=True)
while True:
  d, a = s.recvfrom(99); s.sendto(sys.argv[2].encode(), a)`

// udpClient asks so often, each time from another port.
const udpClient = `import socket, sys
for _ in range(int(sys.argv[3])):
  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
  try:
    s.connect((sys.argv[1], int(sys.argv[2]))); s.send(b"x"); print(s.recv(99).decode())
  except OSError: print()
  s.close()`

// serveUDP answers in a pod's network until the test ends.
func (s *stage) serveUDP(t testing.TB, pod string, port int) {
	t.Helper()
	_, path := s.network(t, s.dataDir(t), s.ns, pod)
	s.background(t, "nsenter", "--net="+path, "python3", "-c", udpServer, fmt.Sprint(port), pod)
}

// askUDP is who answers in UDP from a pod, by names; of a pod of "" from the machine.
func (s *stage) askUDP(t testing.TB, from, host string, port, times int) []string {
	t.Helper()
	args := []string{"python3", "-c", udpClient, host, fmt.Sprint(port), fmt.Sprint(times)}
	if from != "" {
		_, path := s.network(t, s.dataDir(t), s.ns, from)
		args = append([]string{"nsenter", "--net=" + path}, args...)
	}
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// reachesUDP waits for what reaches waits for in TCP.
func (s *stage) reachesUDP(t testing.TB, from, host string, port int, want ...string) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		seen := slices.Compact(slices.Sorted(slices.Values(s.askUDP(t, from, host, port, max(1, 6*(len(want)-1)+1)))))
		if !slices.Equal(seen, slices.Sorted(slices.Values(want))) {
			return fmt.Errorf("UDP %s:%d from %q is answered by %q, want %q", host, port, from, seen, want)
		}
		return nil
	})
}

// expose creates a service and returns it with its address.
func (s *stage) expose(t testing.TB, spec corev1.ServiceSpec) *corev1.Service {
	t.Helper()
	made, err := s.client.CoreV1().Services(s.ns).Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: s.name("service")}, Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (s *stage) patchService(t testing.TB, name, patch string) *corev1.Service {
	t.Helper()
	made, err := s.client.CoreV1().Services(s.ns).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// portTo is one of a service that leads to a port of pods.
func portTo(name string, protocol corev1.Protocol, port int32, target int) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Protocol: protocol, Port: port, TargetPort: intstr.FromInt32(int32(target))}
}
