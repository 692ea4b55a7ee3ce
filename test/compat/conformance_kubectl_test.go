package compat

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kubectl runs a line of kubectl's arguments in the namespace and returns what it prints.
func (s *stage) kubectl(t testing.TB, line string) string {
	t.Helper()
	return s.sh(t, "kubectl -n "+s.ns+" "+line)
}

// read returns a pod as it is now.
func (s *stage) read(t testing.TB, name string) *corev1.Pod {
	t.Helper()
	pod, err := s.client.CoreV1().Pods(s.ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

// run runs a pod by kubectl until the end of the test.
func (s *stage) run(t testing.TB, prefix, line string) *corev1.Pod {
	t.Helper()
	name := s.name(prefix)
	s.kubectl(t, "run "+name+" "+line)
	t.Cleanup(func() { s.kubectl(t, "delete pod --now --wait=false "+name) })
	return s.read(t, name)
}

func TestConformanceKubectl(t *testing.T) {
	s := newStage(t)
	const first, second = "busybox:1.28", "busybox:latest"
	s.conforms(t, "[sig-cli] Kubectl client Kubectl api-versions should check if v1 is in available api versions", func(t *testing.T) {
		if out := s.kubectl(t, "api-versions"); !slices.Contains(strings.Split(out, "\n"), "v1") {
			t.Errorf("kubectl api-versions prints\n%s", out)
		}
	})
	s.conforms(t, "[sig-cli] Kubectl client Kubectl cluster-info should check if Kubernetes control plane services is included in cluster-info", func(t *testing.T) {
		contains(t, s.kubectl(t, "cluster-info"), "Kubernetes control plane is running at https://"+s.Listen)
	})
	s.conforms(t, "[sig-cli] Kubectl client Kubectl version should check is all data is printed", func(t *testing.T) {
		contains(t, s.kubectl(t, "version"), "Client Version: v", "Server Version: v")
		var said map[string]map[string]string
		out := s.kubectl(t, "version -o json | sed '/kustomizeVersion/d'")
		if err := json.Unmarshal([]byte(out), &said); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		for _, side := range []string{"clientVersion", "serverVersion"} {
			for _, field := range []string{"major", "minor", "gitVersion", "gitCommit", "buildDate", "goVersion", "compiler", "platform"} {
				if said[side][field] == "" {
					t.Errorf("%s has no %s: %s", side, field, out)
				}
			}
		}
	})
	s.conforms(t, "[sig-cli] Kubectl client Kubectl label should update the label on a resource", func(t *testing.T) {
		pod := s.runs(t, shell(s.name("label"), forever))
		shown := func(parts ...string) bool {
			out := s.kubectl(t, "get pod "+pod.Name+" -L testing-label")
			contains(t, out, append(parts, "TESTING-LABEL", pod.Name)...)
			return strings.Contains(out, "testing-label-value")
		}
		contains(t, s.kubectl(t, "label pods "+pod.Name+" testing-label=testing-label-value"), "labeled")
		if !shown() {
			t.Error("the label is not shown")
		}
		if out := s.kubectl(t, "get pod -l testing-label=testing-label-value -o name"); out != "pod/"+pod.Name+"\n" {
			t.Errorf("the selector finds %q", out)
		}
		contains(t, s.kubectl(t, "label pods "+pod.Name+" testing-label-"), "unlabeled")
		if shown() {
			t.Error("the label that was removed is shown")
		}
		if out := s.kubectl(t, "get pod -l testing-label=testing-label-value -o name"); out != "" {
			t.Errorf("the selector finds %q", out)
		}
	})
	s.conforms(t, "[sig-cli] Kubectl client Kubectl run pod should create a pod from an image when restart is Never", func(t *testing.T) {
		pod := s.run(t, "run", "--restart=Never --image="+first)
		if c := pod.Spec.Containers; len(c) != 1 || c[0].Image != first || pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
			t.Errorf("made %+v", pod.Spec)
		}
	})
	s.conforms(t, "[sig-cli] Kubectl client Kubectl replace should update a single-container pod's image", func(t *testing.T) {
		pod := s.await(t, s.run(t, "replace", "--image="+first+" -- sh -c 'trap exit TERM; sleep 3600 & wait'"), "to run", isRunning)
		s.kubectl(t, "get pod "+pod.Name+" -o json | sed '0,/"+first+"/s//"+second+"/' | kubectl -n "+s.ns+" replace -f -")
		if c := s.read(t, pod.Name).Spec.Containers; len(c) != 1 || c[0].Image != second {
			t.Errorf("the spec has %+v", c)
		}
		s.await(t, pod, "to run on the other image", func(p *corev1.Pod) bool {
			c := p.Status.ContainerStatuses
			return len(c) == 1 && c[0].RestartCount == 1 && c[0].State.Running != nil
		})
	})
	s.conforms(t, "[sig-cli] Kubectl client Kubectl server-side dry-run should check if kubectl can dry-run update Pods", func(t *testing.T) {
		pod := s.run(t, "dry", "--image="+first+" -- sleep 3600")
		patch := fmt.Sprintf(`{"spec":{"containers":[{"name":%q,"image":%q}]}}`, pod.Name, second)
		contains(t, s.kubectl(t, "patch pod "+pod.Name+" -p '"+patch+"' --dry-run=server -o yaml"), "image: "+second, "generation: 2")
		if p := s.read(t, pod.Name); p.Spec.Containers[0].Image != first || p.Generation != 1 {
			t.Errorf("after the dry run: %s, generation %d", p.Spec.Containers[0].Image, p.Generation)
		}
	})
}

var servesOn = regexp.MustCompile(`^Starting to serve on (\S+)`)

// proxy runs kubectl proxy until the end of the test and returns where it says it serves.
func (s *stage) proxy(t testing.TB, flag string) string {
	t.Helper()
	return s.serves(t, "kubectl", "proxy", flag)
}

// serves runs a proxy until the end of the test and returns where it says it serves.
func (s *stage) serves(t testing.TB, program string, args ...string) string {
	t.Helper()
	step := s.command(t, program, args...)
	// It may last longer than a step.
	cmd := exec.Command(step.Path, step.Args[1:]...)
	cmd.Env = step.Env
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	address := servesOn.FindStringSubmatch(line)
	if err != nil || address == nil {
		t.Fatalf("%s %q prints %q, %v", program, args, line, err)
	}
	return address[1]
}

// versions reads the API's versions through a proxy.
func versions(t testing.TB, client *http.Client, address string) {
	t.Helper()
	resp, err := client.Get("http://" + address + "/api/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var said metav1.APIVersions
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || !slices.Contains(said.Versions, "v1") {
		t.Errorf("/api/ has the versions %v, %s, %v", said.Versions, resp.Status, err)
	}
}

func TestConformanceKubectlProxy(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-cli] Kubectl client Proxy server should support proxy with --port 0", func(t *testing.T) {
		address := s.proxy(t, "--port=0")
		if host, port, err := net.SplitHostPort(address); err != nil || host != "127.0.0.1" || port == "0" {
			t.Errorf("serves on %s", address)
		}
		versions(t, http.DefaultClient, address)
	})
	s.conforms(t, "[sig-cli] Kubectl client Proxy server should support --unix-socket=/path", func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "proxy")
		s.proxy(t, "--unix-socket="+socket)
		var dialer net.Dialer
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}}}
		defer client.CloseIdleConnections()
		versions(t, client, "localhost")
	})
}

func TestConformanceKubectlLogs(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-cli] Kubectl logs logs should be able to retrieve and filter logs", func(t *testing.T) {
		const generator = "for i in $(seq 100); do echo $i GET /api/v1/namespaces/kube-system/pods/$i; sleep 0.1; done"
		name := s.run(t, "logs-generator", "--image=busybox:1.28 --restart=Never -- sh -c '"+generator+"'").Name
		lines := func(flags string) []string {
			t.Helper()
			return strings.SplitAfter(strings.TrimSuffix(s.kubectl(t, "logs "+name+" "+name+" "+flags), "\n"), "\n")
		}
		eventually(t, stepTimeout, func() error {
			if p := s.read(t, name); p.Status.Phase == corev1.PodPending {
				return fmt.Errorf("the pod is %s", p.Status.Phase)
			}
			if got := lines(""); !strings.Contains(got[0], "1 GET /api/v1/namespaces/kube-system/pods/1") {
				return fmt.Errorf("the log is %q", got)
			}
			return nil
		})
		if got := lines("--tail=1"); len(got) != 1 || !strings.Contains(got[0], "GET /api/") {
			t.Errorf("the last line is %q", got)
		}
		if got := s.kubectl(t, "logs "+name+" --limit-bytes=1"); got != "1" {
			t.Errorf("the first byte is %q", got)
		}
		got := lines("--tail=1 --timestamps")
		stamp, line, _ := strings.Cut(got[0], " ")
		if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil || len(got) != 1 || !strings.Contains(line, "GET /api/") {
			t.Errorf("with time stamps %q: %v", got, err)
		}
		time.Sleep(2500 * time.Millisecond) // the API counts whole seconds
		if recent, older := lines("--since=1s"), lines("--since=24h"); len(recent) >= len(older) || len(older) < 20 {
			t.Errorf("%d lines of a second, %d of a day", len(recent), len(older))
		}
	})
}
