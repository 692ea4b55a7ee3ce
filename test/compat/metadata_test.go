package compat

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// TestE9PodsDoNotReachTheCredentialsOfTheNode gives the addresses of instance metadata to a
// network namespace of its own, reached from this machine as a cloud's would be.
func TestE9PodsDoNotReachTheCredentialsOfTheNode(t *testing.T) {
	s := newStage(t)
	addresses := []string{"169.254.169.254", "169.254.170.2", "169.254.170.23"}
	cloud(t, addresses)
	for _, host := range []string{"false", "true"} {
		s.apply(t, "default", fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: e9-%[1]s}
spec:
  hostNetwork: %[1]s
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: tutum/curl, command: [sleep, "9999999"]}]
`, host))
		t.Cleanup(func() { s.sh(t, "kubectl delete pod -n default e9-"+host+" --wait=false") })
	}
	for _, host := range []string{"false", "true"} {
		s.running(t, "default", "e9-"+host)
	}
	for _, address := range addresses {
		url := "http://" + address + "/latest/meta-data/iam/security-credentials/"
		said := s.fails(t, "kubectl exec -n default e9-false -- curl -sS -m 20 "+url)
		if !strings.Contains(said, "curl: (7)") { // refused, and no waiting, which would be 28
			t.Errorf("a pod that asks %s is told %q, want refused at once", address, said)
		}
		// As docs/pod-identity.md says: a pod in the node's network is the node.
		if said := s.exec(t, "default", "e9-true", "curl", "-sS", "-m", "20", url); said != "node-role" {
			t.Errorf("a pod in the node's network that asks %s is told %q", address, said)
		}
	}
	// There is no IPv6 for pods at all.
	if said := s.fails(t, "kubectl exec -n default e9-false -- curl -sS -m 20 'http://[fd00:ec2::254]/latest/meta-data/'"); !strings.Contains(said, "curl: (7)") {
		t.Errorf("a pod that asks fd00:ec2::254 is told %q", said)
	}
}

// cloud is a namespace in which a server has these addresses and names a role.
func cloud(t *testing.T, addresses []string) {
	t.Helper()
	const name, link, ours, theirs = "e9-cloud", "e9-cloud", "198.18.9.1", "198.18.9.2"
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	t.Cleanup(func() {
		exec.Command("ip", "link", "del", link).Run() // and the routes by it
		exec.Command("ip", "netns", "del", name).Run()
	})
	run("ip", "netns", "add", name)
	run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
	run("ip", "addr", "add", ours+"/30", "dev", link)
	run("ip", "link", "set", link, "up")
	for _, a := range append([]string{theirs}, addresses...) {
		run("ip", "-n", name, "addr", "add", a+"/30", "dev", "eth0")
	}
	run("ip", "-n", name, "link", "set", "eth0", "up")
	run("ip", "-n", name, "route", "add", "default", "via", ours)
	for _, a := range addresses {
		run("ip", "route", "add", a+"/32", "via", theirs)
	}
	const script = `import http.server, sys
class Role(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"node-role")
server = http.server.ThreadingHTTPServer(("0.0.0.0", 80), Role)
print("up", flush=True)
server.serve_forever()`
	server := exec.Command("ip", "netns", "exec", name, "python3", "-c", script)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
}
