package compat

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/internal/datadir"
)

// cniResult is what the CNI library remembers of a pod's network.
type cniResult struct {
	Args   [][2]string `json:"cniArgs"`
	Result struct {
		Interfaces []struct{ Name, MAC, Sandbox string }
	}
}

// network returns the hardware address of a pod and the path of its network namespace.
func (s *system) network(t testing.TB, dir datadir.Dir, namespace, pod string) (mac, path string) {
	t.Helper()
	files, err := filepath.Glob("/var/lib/cni/results/" + dir.Bridge() + "-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		var r cniResult
		if raw, err := os.ReadFile(file); err != nil || json.Unmarshal(raw, &r) != nil {
			continue // it has just gone
		}
		of := map[string]string{}
		for _, a := range r.Args {
			of[a[0]] = a[1]
		}
		for _, i := range r.Result.Interfaces {
			if of["K8S_POD_NAMESPACE"] == namespace && of["K8S_POD_NAME"] == pod && i.Sandbox != "" {
				return i.MAC, i.Sandbox
			}
		}
	}
	t.Fatalf("pod %s is not on the bridge", pod)
	return "", ""
}

// claimAddresses has whoever is in a network namespace say, ten times, that addresses are at its
// own hardware address.
const claimAddresses = `import socket, struct, sys
own = bytes.fromhex(sys.argv[1].replace(":", ""))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
for _ in range(10):
  for addr in sys.argv[2:]:
    ip = socket.inet_aton(addr)
    for op in (1, 2):
      arp = struct.pack("!HHBBH", 1, 0x800, 6, 4, op) + own + ip + b"\xff" * 6 + ip
      s.send(b"\xff" * 6 + own + b"\x08\x06" + arp + bytes(18))`

// TestAPodWithRawPacketsDoesNotTakeTheAddressOfAnother sends, from the network of a pod,
// what arping does to take an address, also after the rules were flushed and while
// laterna does not run.
func TestAPodWithRawPacketsDoesNotTakeTheAddressOfAnother(t *testing.T) {
	t.Parallel()
	s := started(t)
	dir, err := datadir.Locate(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range []string{"victim", "evil", "peer"} {
		s.apply(t, "default", fmt.Sprintf(sleeper, pod))
	}
	s.sh(t, "kubectl create configmap watched")
	s.running(t, "default", "victim", "evil", "peer")
	victim := s.field(t, "default", "pod/victim", "{.status.podIP}")
	gateway := victim[:strings.LastIndex(victim, ".")] + ".1"
	evil, path := s.network(t, dir, "default", "evil")
	attacked := func(when string) {
		t.Helper()
		s.exec(t, "default", "peer", "ping", "-c1", "-W5", victim) // so that there is something to replace
		s.exec(t, "default", "peer", "ping", "-c1", "-W5", gateway)
		if out, err := exec.Command("nsenter", "--net="+path, "python3", "-c", claimAddresses, evil, victim, gateway).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for who, known := range map[string]string{
			"a pod":       s.exec(t, "default", "peer", "cat", "/proc/net/arp"),
			"the machine": s.sh(t, "ip neigh show dev "+dir.Bridge()),
		} {
			for line := range strings.Lines(known) {
				if strings.Contains(line, evil) && (strings.Contains(line, victim+" ") || strings.Contains(line, gateway+" ")) {
					t.Errorf("%s: %s believes %s", when, who, line)
				}
			}
		}
		s.exec(t, "default", "peer", "ping", "-c1", "-W5", victim)
	}
	attacked("while it runs")
	s.sh(t, "nft flush table bridge "+dir.HostName())
	eventually(t, 10*time.Second, func() error {
		if rules := s.sh(t, "nft list table bridge "+dir.HostName()); !strings.Contains(rules, "jump own") { // the elements of sets stay
			return fmt.Errorf("rules %s", rules)
		}
		return nil
	})
	attacked("after a flush")
	s.Kill()
	if rules := s.sh(t, "nft list table bridge "+dir.HostName()); !strings.Contains(rules, victim) {
		t.Errorf("without laterna the rules are %s", rules)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.sh(t, "kubectl exec peer -- true") // at once: the node's own API keeps its port
	attacked("after a restart")
	s.sh(t, "kubectl delete pod evil --grace-period=0 --force")
	eventually(t, 20*time.Second, func() error {
		if rules := s.sh(t, "nft list table bridge "+dir.HostName()); strings.Contains(rules, evil) {
			return fmt.Errorf("rules %s", rules)
		}
		return nil
	})
}

// TestPodsReachTheAPIThatListensOnAnIPv6Address holds as well for pods in the machine's
// network, which do not come over the bridge.
func TestPodsReachTheAPIThatListensOnAnIPv6Address(t *testing.T) {
	s := prepared(t)
	s.Listen = strings.Replace(s.Listen, "127.0.0.1", "[::1]", 1)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for _, pod := range []string{"bridged", "host"} {
		s.apply(t, "default", fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  hostNetwork: %v
  containers: [{name: c, image: tutum/curl, imagePullPolicy: Never, command: [sleep, 1d]}]
`, pod, pod == "host"))
	}
	waits := func(pod string) error {
		if got := s.field(t, "default", "pod/"+pod, "{.status.containerStatuses[0].state.waiting.reason}"); got != "ErrImageNeverPull" {
			return fmt.Errorf("%s waits for %q", pod, got)
		}
		return nil
	}
	eventually(t, 20*time.Second, func() error { return waits("bridged") })
	eventually(t, 20*time.Second, func() error { return waits("host") })
	// They were looked at just now, and are next in five seconds: unless they are woken.
	s.sh(t, programs.Path("laterna")+" image import --data-dir "+s.Dir+" "+filepath.Join(imageDir, "tutum-curl.tar"))
	began := time.Now()
	s.running(t, "default", "bridged", "host")
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the pods run %v after their image was imported", took)
	}
	for _, pod := range []string{"bridged", "host"} {
		contains(t, s.exec(t, "default", pod, "sh", "-c", "curl -sS --cacert /var/run/secrets/kubernetes.io/serviceaccount/ca.crt https://$KUBERNETES_SERVICE_HOST/version"), "gitVersion")
	}
}

// TestARunThatIsAttachedToPrintsOnce runs what ends at once.
func TestARunThatIsAttachedToPrintsOnce(t *testing.T) {
	s := shared
	ns := s.namespace(t)
	const runs = 10
	twice := 0
	for i := range runs {
		out := s.sh(t, fmt.Sprintf("kubectl run -n %s fast%d --rm -i -q --restart=Never --image=busybox:1.28 -- echo printed </dev/null", ns, i))
		switch n := strings.Count(out, "printed"); {
		case n == 0:
			t.Errorf("run %d prints %q", i, out)
		case n > 1:
			twice++
		}
	}
	// A machine that is busy may take longer than a container is waited for.
	if twice > 1 {
		t.Errorf("%d of %d runs print twice", twice, runs)
	}
}
