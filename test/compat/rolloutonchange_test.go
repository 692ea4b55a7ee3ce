package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheExampleOfRolloutsOnChange runs docs/rollout-on-change.md.
func TestTheExampleOfRolloutsOnChange(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	page, err := os.ReadFile("../../docs/rollout-on-change.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string) string {
		_, text, _ := strings.Cut(string(page), "```"+kind+"\n")
		text, _, _ = strings.Cut(text, "```")
		return text
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "deployment.yaml"), []byte(block("yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	out := s.sh(t, "set -e; cd "+dir+"; kubectl() { command kubectl -n "+ns+" \"$@\"; }\n"+block("bash"))
	contains(t, out, "colour green", "laterna.dev/content-digests: configmap/web=")
	k := "kubectl -n " + ns + " "
	contains(t, s.sh(t, k+"describe deployment web"), "RolloutOnChange", "Rolling out, since content has changed: configmap/web")
	if got := s.sh(t, k+"get replicasets -o name | wc -l"); strings.TrimSpace(got) != "2" {
		t.Errorf("%s ReplicaSets, want 2", got)
	}
	warned := s.sh(t, k+"rollout undo deployment web 2>&1")
	contains(t, warned, "this template has run with other content of configmap/web than there is now")
}

// onChange is a workload that reads a ConfigMap and an optional Secret. Its verbs are kind,
// name and what is to count.
const onChange = `---
{apiVersion: apps/v1, kind: %[1]s, metadata: {name: %[2]s, annotations: {laterna.dev/rollout-on-change: "%[3]s"}}, spec: {selector: {matchLabels: {app: %[2]s}},
  template: {metadata: {labels: {app: %[2]s}}, spec: {nodeSelector: {no: node}, containers: [{name: main, image: busybox, envFrom: [{configMapRef: {name: c}}, {secretRef: {name: s, optional: true}}]}]}}}}
`

// rolled are the workloads of a system without a node, and how often each was written.
type rolled struct {
	*system
	t *testing.T
}

// generations are those of the workloads, as text.
func (r rolled) generations() string {
	return strings.TrimSpace(r.sh(r.t, `kubectl get deployments,statefulsets,daemonsets -o jsonpath='{range .items[*]}{.metadata.name}={.metadata.generation} {end}'`))
}

// become waits for generations, and that they stay.
func (r rolled) become(why, want string) {
	r.t.Helper()
	eventually(r.t, 20*time.Second, func() error {
		if got := r.generations(); got != want {
			return fmt.Errorf("%s: generations %s, want %s", why, got, want)
		}
		return nil
	})
	time.Sleep(2 * time.Second) // more than changes are collected for
	if got := r.generations(); got != want {
		r.t.Errorf("%s, and then: generations %s, want %s", why, got, want)
	}
}

// TestWorkloadsAreRolledOutOnChange has no pods run: what counts is the template.
func TestWorkloadsAreRolledOutOnChange(t *testing.T) {
	t.Parallel()
	r := rolled{started(t, "--node=false"), t}
	r.sh(t, "kubectl create configmap c --from-literal=k=1")
	r.apply(t, "default", fmt.Sprintf(onChange, "Deployment", "all", "auto")+fmt.Sprintf(onChange, "StatefulSet", "both", "configmap/c,secret/s")+
		fmt.Sprintf(onChange, "DaemonSet", "secret", "secret/s"))
	r.become("made", "all=1 both=1 secret=1")
	r.sh(t, "kubectl create secret generic s --from-literal=k=1 && kubectl patch configmap c -p '{\"data\":{\"k\":\"2\"}}'")
	r.become("a Secret came and the ConfigMap changed", "all=2 both=2 secret=2")
	r.sh(t, "kubectl annotate configmap c a=b && kubectl label secret s a=b && kubectl delete configmap c")
	r.become("labels changed, and the ConfigMap went", "all=2 both=2 secret=2")
	r.sh(t, "kubectl create configmap c --from-literal=k=2")
	r.become("it came back as it was", "all=2 both=2 secret=2")
	r.sh(t, "kubectl patch secret s -p '{\"stringData\":{\"k\":\"3\"}}'")
	r.Kill()
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	r.become("killed right after a change", "all=3 both=3 secret=3")
	r.sh(t, "kubectl delete secret -n kube-system laterna-content-digests && kubectl annotate deployment all a=b")
	eventually(t, 20*time.Second, func() error {
		if got := r.generations(); !strings.HasPrefix(got, "all=4 ") {
			return fmt.Errorf("after the key was lost: %s", got)
		}
		return nil
	})
	for _, wrong := range []string{"pod/x", "configmap/", "auto,"} {
		if out, err := r.command(t, "kubectl", "annotate", "--overwrite", "deployment", "all", "laterna.dev/rollout-on-change="+wrong).CombinedOutput(); err == nil ||
			!strings.Contains(string(out), "metadata.annotations[laterna.dev/rollout-on-change]: Invalid value") {
			t.Errorf("%s: %s", wrong, out)
		}
	}
	if got := r.sh(t, "kubectl get deployment all -o yaml"); strings.Contains(got, "absent") {
		t.Errorf("digests of what is there:\n%s", got)
	}
}
