package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestConformanceHostPorts(t *testing.T) {
	s := newStage(t)
	node := s.nodeIP(t)
	s.conforms(t, "[sig-network] HostPort validates that there is no conflict between pods with same hostPort but different hostIP and protocol", func(t *testing.T) {
		port := freePort(t) // upstream's is 54323
		s.apply(t, s.ns, strings.Join([]string{
			serving("pod1", "", fmt.Sprintf("{containerPort: 8080, hostPort: %s, hostIP: 127.0.0.1}", port)),
			serving("pod2", "", fmt.Sprintf("{containerPort: 8080, hostPort: %s, hostIP: %s}", port, node)),
			serving("pod3", "", fmt.Sprintf("{containerPort: 8080, hostPort: %s, hostIP: %s, protocol: UDP}", port, node)),
			`
apiVersion: v1
kind: Pod
metadata: {name: host}
spec:
  hostNetwork: true
  containers: [{name: c, image: tutum/curl, command: [sleep, 1d]}]
`}, "\n---\n"))
		s.running(t, s.ns, "pod1", "pod2", "pod3", "host")
		s.answerUDP(t, s.dataDir(t), s.ns, "pod3")
		for host, want := range map[string]string{"127.0.0.1": "pod1", node: "pod2"} {
			waitsFor(t, "from the host's network", want, func() string {
				return strings.TrimSpace(s.exec(t, s.ns, "host", "curl", "-sg", "--connect-timeout", "15", "--interface", node, "http://"+host+":"+port+"/hostname"))
			})
		}
		waitsFor(t, "UDP", "echo x", func() string { return udp(node + ":" + port) })
	})
	s.conforms(t, "[sig-scheduling] SchedulerPredicates validates that there exists conflict between pods with same hostPort and protocol but one using 0.0.0.0 hostIP", func(t *testing.T) {
		port := freePort(t) // upstream's is 54322
		s.apply(t, s.ns, serving("pod4", "", fmt.Sprintf("{containerPort: 8080, hostPort: %s}", port)))
		s.running(t, s.ns, "pod4")
		s.apply(t, s.ns, serving("pod5", "", fmt.Sprintf("{containerPort: 8080, hostPort: %s, hostIP: %s}", port, node)))
		eventually(t, 15*time.Second, func() error {
			const want = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
			if got := s.field(t, s.ns, "events --field-selector=reason=FailedScheduling,involvedObject.name=pod5", "{.items[*].message}"); !strings.HasPrefix(got, want) {
				return fmt.Errorf("%q, want %q", got, want)
			}
			return nil
		})
		if got := s.field(t, s.ns, "pod/pod5", `{.spec.nodeName}{.status.phase}`); got != "Pending" {
			t.Errorf("it is %q", got)
		}
		// It gets the port once the other has given it back.
		s.sh(t, "kubectl delete pod -n "+s.ns+" pod4")
		s.running(t, s.ns, "pod5")
		waitsFor(t, "the pod that has waited", "pod5", func() string { return s.ask(t, node+":"+port) })
	})
}
