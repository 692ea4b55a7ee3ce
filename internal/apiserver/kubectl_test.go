package apiserver_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/pki"
)

// kubectl runs the stock kubectl as admin and returns what it prints.
func (s *system) kubectl(input string, args ...string) (stdout, stderr string, err error) {
	s.t.Helper()
	config := filepath.Join(s.dir, "kubeconfig")
	if _, err := os.Stat(config); err != nil {
		pair, err := s.authority.Pair(pki.Leaf{Name: "admin", CommonName: "admin", Organizations: []string{"system:masters"}, Client: true})
		must(s.t, err)
		must(s.t, pki.WriteKubeconfig(config, "https://"+s.addr, s.authority, pair))
	}
	cmd := exec.CommandContext(s.t.Context(), "kubectl", append([]string{"--kubeconfig", config}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+s.dir)
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

const manifest = `apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  sleep-interval: "25"
`

// Kinds that can only be created.
const (
	tokenReview = "apiVersion: authentication.k8s.io/v1\nkind: TokenReview\nspec:\n  token: abc\n"
	binding     = "apiVersion: v1\nkind: Binding\nmetadata:\n  name: nobody\ntarget:\n  kind: Node\n  name: nowhere\n"
)

// TestKubectlNamesItsVersionToServers runs the kubectl that make build makes.
func TestKubectlNamesItsVersionToServers(t *testing.T) {
	heard := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case heard <- r.UserAgent():
		default: // it asks again
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), "kubectl", "get", "--raw", "/x", "--server", server.URL)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "KUBECONFIG=")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("a path that is not there: %s", out)
	}
	if len(heard) == 0 {
		t.Fatalf("kubectl asked nobody: %v: %s", err, out)
	}
	if got := <-heard; !strings.HasPrefix(got, "kubectl/v1.") || strings.Contains(got, "$Format") {
		t.Errorf("kubectl says that it is %q", got)
	}
}

func TestKubectl(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Fatal("kubectl is missing: make build makes it")
	}
	s := boot(t, t.TempDir())
	for _, step := range []struct {
		input string
		args  string
		want  []string // parts of standard output, or of standard error after "!"
	}{
		{manifest, "apply -f -", []string{"configmap/settings created"}},
		{manifest, "apply -f -", []string{"configmap/settings unchanged"}},
		{strings.Replace(manifest, "25", "30", 1), "diff -f -", []string{"!", `-  sleep-interval: "25"`, `+  sleep-interval: "30"`}},
		{strings.Replace(manifest, "25", "30", 1), "apply -f -", []string{"configmap/settings configured"}},
		{manifest, "apply --server-side --force-conflicts --field-manager=other -f -", []string{"configmap/settings serverside-applied"}},
		{"", "get configmap settings", []string{"NAME", "DATA", "AGE", "settings", "1"}},
		{"", "get cm settings -o yaml", []string{`sleep-interval: "25"`, "kind: ConfigMap"}},
		{"", "get cm settings -o jsonpath={.data.sleep-interval}", []string{"25"}},
		{"", "get all", []string{"service/kubernetes", "ClusterIP", "10.96.0.1", "443/TCP"}},
		{"", "describe configmap settings", []string{"Name:", "settings", "sleep-interval:", "25"}},
		{"", "explain configmap.data", []string{"KIND:", "ConfigMap", "FIELD: data"}},
		{"", "explain pod.spec.containers", []string{"<[]Container>", "image"}},
		{"", "label cm settings a=b", []string{"configmap/settings labeled"}},
		{"", "get cm -l a=b -o name", []string{"configmap/settings"}},
		{"", "create secret generic s --from-literal=a=b", []string{"secret/s created"}},
		{"", "get secrets", []string{"TYPE", "Opaque"}},
		{"", "api-resources", []string{"configmaps", "cm", "rolebindings", "rbac.authorization.k8s.io/v1", "tokenreviews"}},
		{"", "api-versions", []string{"authentication.k8s.io/v1", "coordination.k8s.io/v1", "v1"}},
		{"", "version", []string{"Server Version: v1.37.2+laterna.0.0.1"}},
		{"", "cluster-info", []string{"control plane", "is running at", "https://127.0.0.1:"}},
		{"", "auth whoami", []string{"admin", "system:masters"}},
		{"", "auth can-i create pods", []string{"yes"}},
		{"", "create serviceaccount build-robot", []string{"serviceaccount/build-robot created"}},
		{"", "create token build-robot --audience vault --duration 1h", []string{"eyJ"}},
		{"", "get --raw /readyz", []string{"ok"}},
		{strings.Replace(manifest, "\ndata:", "\ndate:", 1), "create --validate=strict -f -", []string{"!", `unknown field "date"`}},
		{tokenReview, "create -o jsonpath={.status.error} -f -", []string{"invalid bearer token"}},
		{strings.Replace(tokenReview, "token:", "tokn:", 1), "create -f -", []string{"!", `unknown field "tokn"`}},
		{binding, "create -f -", []string{"!", `pods "nobody" not found`}},
		{"kind: ConfigMap", "create -f -", []string{"!", "apiVersion not set"}},
		{"", "delete cm settings", []string{`configmap "settings" deleted`}},
		{"", "get cm settings", []string{"!", `Error from server (NotFound): configmaps "settings" not found`}},
	} {
		out, errs, err := s.kubectl(step.input, strings.Fields(step.args)...)
		fails := step.want[0] == "!"
		if (err != nil) != fails {
			t.Errorf("kubectl %s: %v\n%s%s", step.args, err, out, errs)
			continue
		}
		for _, part := range step.want {
			if part != "!" && !strings.Contains(out+errs, part) {
				t.Errorf("kubectl %s lacks %q:\n%s%s", step.args, part, out, errs)
			}
		}
	}
}
