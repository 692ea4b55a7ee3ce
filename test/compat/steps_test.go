package compat

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// namespace makes a namespace named after the test and removes it at the end.
func (s *system) namespace(t testing.TB) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	name = strings.Trim(name[:min(len(name), 60)], "-")
	s.sh(t, "kubectl create namespace "+name)
	t.Cleanup(func() { s.sh(t, "kubectl delete namespace --wait=false "+name) })
	return name
}

// running waits until a pod is Running and ready, and fails with its description.
func (s *system) running(t testing.TB, namespace string, pods ...string) {
	t.Helper()
	for _, pod := range pods {
		out, err := s.command(t, "kubectl", "wait", "-n", namespace, "--for=condition=Ready", "--timeout=45s", "pod/"+pod).CombinedOutput()
		if err != nil {
			describe, _ := s.command(t, "kubectl", "describe", "pod", "-n", namespace, pod).CombinedOutput()
			t.Fatalf("pod %s is not ready: %v\n%s%s\nlog of laterna:\n%s", pod, err, out, describe, tail(s.Log(), 30))
		}
	}
}

func tail(s string, lines int) string {
	all := strings.Split(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// exec runs a command in a pod's first container.
func (s *system) exec(t testing.TB, namespace, pod string, command ...string) string {
	t.Helper()
	args := append([]string{"exec", "-n", namespace, pod, "--"}, command...)
	out, err := s.command(t, "kubectl", args...).Output()
	if err != nil {
		t.Fatalf("exec in %s %q: %v\n%s", pod, command, err, stderrOf(err))
	}
	return string(out)
}

func stderrOf(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return string(exit.Stderr)
	}
	return fmt.Sprintf("%+v", err)
}

// eventually calls check until it returns nil, for at most d.
func eventually(t testing.TB, d time.Duration, check func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("not within %s: %v", d, err)
}

// contains fails unless text holds every part.
func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("lacks %q:\n%s", part, text)
		}
	}
}

// claims are those of a service account token.
type claims struct {
	Issuer     string   `json:"iss"`
	Subject    string   `json:"sub"`
	Audience   []string `json:"aud"`
	IssuedAt   int64    `json:"iat"`
	NotBefore  int64    `json:"nbf"`
	Expiry     int64    `json:"exp"`
	ID         string   `json:"jti"`
	Kubernetes struct {
		Namespace      string
		ServiceAccount ref
		Pod, Node      *ref
		Secret         *ref
		WarnAfter      int64
	} `json:"kubernetes.io"`
}

type ref struct{ Name, UID string }

// decode reads the claims of a token without checking it.
func decode(t testing.TB, token string) claims {
	t.Helper()
	parts := strings.Split(strings.TrimSpace(token), ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c claims
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return c
}

// field reads one field of an object by JSONPath.
func (s *system) field(t testing.TB, namespace, object, path string) string {
	t.Helper()
	return s.sh(t, fmt.Sprintf("kubectl get -n %s %s -o jsonpath='%s'", namespace, object, path))
}
