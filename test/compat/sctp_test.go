package compat

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// sctpPacket makes and reads packets with one chunk, by sockets that take any protocol:
// kernels without SCTP lead its packets all the same.
const sctpPacket = `import socket, struct, sys
def crc(b):
  c = 0xffffffff
  for x in b:
    c ^= x
    for _ in range(8): c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
  return c ^ 0xffffffff
def packet(sport, dport, tag, kind, own, more=b""):
  body = struct.pack("!BBHIIHHI", kind, 0, 20 + len(more), own, 65536, 1, 1, 1) + more
  head = struct.pack("!HHI", sport, dport, tag)
  return head + struct.pack("<I", crc(head + b"\0\0\0\0" + body)) + body
def read(b):
  b = b[(b[0] & 15) * 4:]
  sport, dport, tag, _, kind, _, size, own = struct.unpack("!HHIIBBHI", b[:20])
  return sport, dport, kind, own, b[32:12 + size]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
`

// sctpServer answers a beginning (INIT) at a port with its name as the cookie (INIT ACK).
const sctpServer = sctpPacket + `print("ready", flush=True)
while True:
  b, a = s.recvfrom(999)
  sport, dport, kind, own, _ = read(b)
  if kind == 1 and dport == int(sys.argv[1]):
    name = sys.argv[2].encode() + b"\0" * (-len(sys.argv[2]) % 4)
    s.sendto(packet(dport, sport, own, 2, 99, struct.pack("!HH", 7, 4 + len(name)) + name), (a[0], 0))`

// sctpClient begins, and prints the cookie of who answers from the address and port that it
// has asked.
const sctpClient = sctpPacket + `import os
s.settimeout(1); port = 20000 + os.getpid() % 20000
s.sendto(packet(port, int(sys.argv[2]), 0, 1, 7), (sys.argv[1], 0))
try:
  while True:
    b, a = s.recvfrom(999)
    sport, dport, kind, _, more = read(b)
    if a[0] == sys.argv[1] and sport == int(sys.argv[2]) and dport == port and kind == 2: print(more[4:].rstrip(b"\0").decode()); break
except OSError: print()`

// TestServicesLeadSCTP begins associations through a cluster IP.
func TestServicesLeadSCTP(t *testing.T) {
	s := newStage(t)
	labels := map[string]string{"app": "sctp"}
	s.apply(t, s.ns, strings.Join([]string{netserver("exec", nil, ""), netserver("one", labels, ""), netserver("two", nil, "")}, "\n---\n"))
	s.running(t, s.ns, "exec", "one", "two")
	for _, pod := range []string{"one", "two"} {
		_, path := s.network(t, s.dataDir(t), s.ns, pod)
		s.background(t, "nsenter", "--net="+path, "python3", "-c", sctpServer, "8082", pod)
	}
	made := s.expose(t, corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Selector: labels, Ports: []corev1.ServicePort{portTo("", "SCTP", 80, 8082)}})
	_, exec := s.network(t, s.dataDir(t), s.ns, "exec")
	reaches := func(host string, port int32, want string) {
		t.Helper()
		eventually(t, 20*time.Second, func() error {
			if got := s.sctp(t, exec, host, port); got != want {
				return fmt.Errorf("SCTP %s:%d is answered by %q, want %q", host, port, got, want)
			}
			return nil
		})
	}
	reaches(made.Spec.ClusterIP, 80, "one")
	reaches(s.nodeIP(t), made.Spec.Ports[0].NodePort, "one")
	s.sh(t, fmt.Sprintf("kubectl label pod -n %s one app- && kubectl label pod -n %[1]s two app=sctp", s.ns))
	reaches(made.Spec.ClusterIP, 80, "two")
	s.patchService(t, made.Name, `{"spec":{"ports":[{"port":81,"protocol":"SCTP","targetPort":8082}]}}`)
	reaches(made.Spec.ClusterIP, 81, "two")
	reaches(made.Spec.ClusterIP, 80, "")
}

// sctp is who answers a beginning from a pod's network, "" where nobody does.
func (s *stage) sctp(t *testing.T, from, host string, port int32) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "nsenter", "--net="+from, "python3", "-c", sctpClient, host, fmt.Sprint(port)).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderrOf(err))
	}
	return strings.TrimSpace(string(out))
}
