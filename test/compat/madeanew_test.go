package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAccountMadeAnewGivesRunningPodsATokenThatIsAccepted(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.sh(t, "kubectl create sa robot -n "+ns)
	s.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  serviceAccountName: robot
  containers: [{name: c, image: busybox:1.28, command: [sleep, 1d]}]
`)
	s.running(t, ns, "p")
	token := func() string {
		return s.exec(t, ns, "p", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
	}
	old := token()
	if code, body := s.get(t, old, "/api"); code != 200 {
		t.Fatalf("the first token: %d %s", code, body)
	}
	s.sh(t, "kubectl delete sa robot -n "+ns+" && kubectl create sa robot -n "+ns)
	uid := s.field(t, ns, "sa/robot", "{.metadata.uid}")
	eventually(t, 5*time.Second, func() error {
		if got := decode(t, token()).Kubernetes.ServiceAccount.UID; got != uid {
			return fmt.Errorf("the token is of account %s, want %s", got, uid)
		}
		return nil
	})
	if code, body := s.get(t, token(), "/api"); code != 200 {
		t.Errorf("the new token: %d %s", code, body)
	}
	if code, _ := s.get(t, old, "/api"); code != 401 {
		t.Errorf("the old token: %d", code)
	}
}

// TestAPodForALabelThatTheNodeWasJustGivenRuns names the node, so that only the agent
// looks at the label.
func TestAPodForALabelThatTheNodeWasJustGivenRuns(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	node := strings.Trim(s.sh(t, "kubectl get nodes -o jsonpath='{.items[0].metadata.name}'"), "\n")
	const label = "example.com/madeanew"
	t.Cleanup(func() { s.sh(t, "kubectl label node "+node+" "+label+"-") })
	for i := range 5 {
		s.sh(t, fmt.Sprintf("kubectl label --overwrite node %s %s=v%d", node, label, i))
		s.apply(t, ns, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: p%d}
spec:
  nodeName: %s
  nodeSelector: {%s: v%d}
  containers: [{name: c, image: busybox:1.28, command: [sleep, 1d]}]
`, i, node, label, i))
		s.running(t, ns, fmt.Sprintf("p%d", i))
	}
}

func TestImmutableObjectMadeAnewIsTheSameInVolumeAndEnvironment(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	for _, kind := range []string{"ConfigMap", "Secret"} {
		t.Run(kind, func(t *testing.T) {
			name := strings.ToLower(kind)
			write := func(value string) {
				t.Helper()
				data := map[string]string{"ConfigMap": "data", "Secret": "stringData"}[kind]
				s.apply(t, ns, fmt.Sprintf("apiVersion: v1\nkind: %s\nmetadata: {name: frozen}\nimmutable: true\n%s: {k: %s}\n", kind, data, value))
			}
			write("old")
			volume := map[string]string{"ConfigMap": "configMap: {name: frozen}", "Secret": "secret: {secretName: frozen}"}[kind]
			key := map[string]string{"ConfigMap": "configMapKeyRef", "Secret": "secretKeyRef"}[kind]
			s.apply(t, ns, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    env: [{name: V, valueFrom: {%s: {name: frozen, key: k}}}]
    volumeMounts: [{name: v, mountPath: /v}]
  volumes: [{name: v, %s}]
`, name, key, volume))
			s.running(t, ns, name)
			read := func() string {
				out, _ := s.command(t, "kubectl", "exec", "-n", ns, name, "--", "sh", "-c", "cat /v/k; echo; tr '\\0' '\\n' </proc/1/environ | grep ^V=").Output()
				return strings.TrimSpace(string(out))
			}
			if got := read(); got != "old\nV=old" {
				t.Fatalf("at first %q", got)
			}
			s.sh(t, "kubectl delete "+name+" frozen -n "+ns)
			write("new")
			eventually(t, 5*time.Second, func() error {
				if got := read(); got != "new\nV=old" { // an environment is that of the start
					return fmt.Errorf("the pod has %q", got)
				}
				return nil
			})
			// The command ends together with its container, or just before.
			_ = s.command(t, "kubectl", "exec", "-n", ns, name, "--", "kill", "1").Run()
			eventually(t, 30*time.Second, func() error {
				if got := read(); got != "new\nV=new" {
					return fmt.Errorf("after the restart %q", got)
				}
				return nil
			})
		})
	}
}
