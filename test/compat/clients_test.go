package compat

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// clientPod runs a client of this machine in a pod: the machine's programs are its own, the
// credentials those of the pod alone. What is to go through a proxy would go nowhere; what is
// not is said as docs/clients.md says it. Its verbs are the command and the machine's
// directories as volumes and mounts.
const clientPod = `
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: busybox:1.28
    command: [%s]
    env:
    - {name: HOME, value: /tmp}
    - {name: HTTPS_PROXY, value: "http://127.0.0.1:9"}
    - {name: NO_PROXY, value: "$(KUBERNETES_SERVICE_HOST),localhost,127.0.0.1,.svc,.cluster.local"}
    volumeMounts: [%s]
  volumes: [%s]
`

// client is how a client of the API is started, but for the namespace that it works in.
type client struct {
	command []string
	// mounts are the machine's directories that it needs in a pod besides /usr.
	mounts []string
	// files is set where it knows no kubeconfig, and takes as its last argument a directory
	// with the files that a pod has.
	files bool
}

func clients(t *testing.T) map[string]client {
	t.Helper()
	at := func(path string) string {
		absolute, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		return absolute
	}
	tools := at("../tools")
	java, err := filepath.EvalSymlinks("/usr/bin/java")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "goclient")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", binary, "../goclient")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := map[string]client{
		"go":         {command: []string{binary}, mounts: []string{filepath.Dir(binary)}},
		"python":     {command: []string{"/usr/bin/python3", tools + "/clients/client.py"}, mounts: []string{tools}},
		"javascript": {command: []string{"/usr/bin/node", tools + "/clients/client.mjs"}, mounts: []string{tools}},
		"java":       {command: []string{java, "-XX:TieredStopAtLevel=1", tools + "/clients/Client.java"}, mounts: []string{tools}, files: true},
	}
	// Debian's Java has its settings in /etc.
	settings, err := filepath.Glob("/etc/java-*")
	if err != nil {
		t.Fatal(err)
	}
	j := found["java"]
	j.mounts = append(j.mounts, settings...)
	found["java"] = j
	return found
}

// TestB8Clients has stock clients of four languages list, create, label, watch and delete a
// pod, on this machine and in pods of theirs, which trust what is mounted alone.
func TestB8Clients(t *testing.T) {
	t.Parallel()
	for language, c := range clients(t) {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			ns := shared.namespace(t)
			shared.sh(t, "kubectl create rolebinding edit -n "+ns+" --clusterrole=edit --serviceaccount="+ns+":default")
			shared.sh(t, "kubectl create rolebinding "+ns+" -n default --clusterrole=view --serviceaccount="+ns+":default")
			t.Cleanup(func() { shared.sh(t, "kubectl delete rolebinding -n default "+ns) })
			shared.didAll(t, ns, shared.onThisMachine(t, c, ns))
			shared.didAll(t, ns, shared.inAPod(t, c, ns))
		})
	}
}

// didAll looks at what a client has printed, and at what it has left.
func (s *system) didAll(t *testing.T, ns, printed string) {
	t.Helper()
	contains(t, printed, "listed ", "created programmatically-created-pod", "running", "labelled foo=bar", "deleted programmatically-created-pod")
	if left := s.sh(t, "kubectl get pods -n "+ns+" -o name"); strings.Contains(left, "programmatically") {
		t.Errorf("it has left %s", left)
	}
}

// onThisMachine runs a client with the administrator's kubeconfig, or with a token.
func (s *system) onThisMachine(t *testing.T, c client, ns string) string {
	t.Helper()
	args := append(slices.Clone(c.command), ns)
	if c.files {
		args = append(args, s.filesOfAPod(t, ns))
	}
	cmd := s.command(t, args[0], args[1:]...)
	host, port, err := net.SplitHostPort(s.Listen)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "KUBERNETES_SERVICE_HOST="+host, "KUBERNETES_SERVICE_PORT="+port)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("on this machine: %v\n%s", err, out)
	}
	return string(out)
}

// filesOfAPod makes a directory with a token and the authority, as a pod has it.
func (s *system) filesOfAPod(t *testing.T, ns string) string {
	t.Helper()
	dir := t.TempDir()
	config, err := clientcmd.LoadFromFile(s.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, cluster := range config.Clusters {
		ca := cluster.CertificateAuthorityData
		if len(ca) == 0 {
			if ca, err = os.ReadFile(cluster.CertificateAuthority); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	token := s.sh(t, "kubectl create token default -n "+ns)
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// inAPod runs a client in a pod until it ends, and returns what it has printed.
func (s *system) inAPod(t *testing.T, c client, ns string) string {
	t.Helper()
	mounts, volumes := ofThisMachine(c.mounts)
	var command []string
	for _, word := range append(slices.Clone(c.command), ns) {
		command = append(command, fmt.Sprintf("%q", word))
	}
	s.apply(t, ns, fmt.Sprintf(clientPod, strings.Join(command, ", "), mounts, volumes))
	eventually(t, 60*time.Second, func() error {
		switch phase := s.field(t, ns, "pod/client", "{.status.phase}"); phase {
		case "Succeeded":
			return nil
		case "Failed":
			t.Fatalf("in a pod:\n%s", s.sh(t, "kubectl logs client -n "+ns))
		default:
			return errors.New("the client is " + phase)
		}
		return nil
	})
	return s.sh(t, "kubectl logs client -n "+ns)
}

// ofThisMachine are mounts and volumes, in YAML, by which a container has the machine's
// programs, and some more of its directories.
func ofThisMachine(more []string) (mounts, volumes string) {
	// Debian's /lib and /lib64 are links to /usr, which the image does not have.
	places := map[string]string{"/usr": "/usr", "/lib": "/usr/lib"}
	if _, err := os.Stat("/usr/lib64"); err == nil {
		places["/lib64"] = "/usr/lib64"
	}
	for _, dir := range more {
		places[dir] = dir
	}
	var all, from []string
	for at, path := range places {
		name := fmt.Sprintf("d%d", len(all))
		all = append(all, fmt.Sprintf("{name: %s, mountPath: %s, readOnly: true}", name, at))
		from = append(from, fmt.Sprintf("{name: %s, hostPath: {path: %s}}", name, path))
	}
	return strings.Join(all, ", "), strings.Join(from, ", ")
}
