package apiserver_test

import (
	"fmt"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/admission/podsecurity"
	"laterna.dev/laterna/internal/apiserver"
)

// said runs kubectl and returns what it printed, on both outputs.
func (s *system) said(input string, args ...string) string {
	s.t.Helper()
	stdout, stderr, _ := s.kubectl(input, args...)
	return stdout + stderr
}

func TestKubectlIsToldOfPodSecurity(t *testing.T) {
	s := boot(t, t.TempDir(), func(c *apiserver.Config) { c.PodSecurity = podsecurity.Settings{Warn: "baseline"} })
	pod := func(name, namespace, context string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: %s}\nspec:\n  automountServiceAccountToken: false\n  containers: [{name: c, image: i, securityContext: %s}]\n", name, namespace, context)
	}
	const privileged = "{privileged: true}"
	for _, namespace := range []string{"shop", "bench"} {
		s.said("", "create", "namespace", namespace)
		if out := s.said("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: "+namespace+"}\n", "apply", "-f", "-"); !strings.Contains(out, "serviceaccount/default") {
			t.Fatal(out)
		}
	}
	const reason = `privileged (container "c" must not set securityContext.privileged=true)`
	for _, step := range []struct {
		input, args string
		want        []string
	}{
		{pod("a", "shop", privileged), "apply -f -", []string{`Warning: would violate PodSecurity "baseline:latest": ` + reason, "pod/a created"}},
		{"", "label namespace shop pod-security.kubernetes.io/enforce=baseline", []string{
			`Warning: existing pods in namespace "shop" violate the new PodSecurity enforce level "baseline:latest"`, "Warning: a: privileged", "namespace/shop labeled"}},
		{pod("b", "shop", privileged), "apply -f -", []string{`Error from server (Forbidden): error when creating "STDIN": pods "b" is forbidden: violates PodSecurity "baseline:latest": ` + reason}},
		{pod("b", "shop", "{}"), "apply -f -", []string{"pod/b created"}},
		{"", "label namespace shop pod-security.kubernetes.io/enforce=strict --overwrite", []string{`metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted`}},
		{"", "label namespace bench pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/enforce-version=v1.30", []string{"namespace/bench labeled"}},
		{pod("r", "bench", "{}"), "apply -f -", []string{`pods "r" is forbidden: violates PodSecurity "restricted:v1.30": allowPrivilegeEscalation != false`}},
		{pod("r", "bench", "{allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}"), "apply -f -", []string{"pod/r created"}},
	} {
		got := s.said(step.input, strings.Fields(step.args)...)
		for _, want := range step.want {
			if !strings.Contains(got, want) {
				t.Errorf("kubectl %s said\n%s\nwant %s", step.args, got, want)
			}
		}
		if !strings.Contains(strings.Join(step.want, ""), "Warning") && strings.Contains(got, "PodSecurity \"") && !strings.Contains(got, "forbidden") {
			t.Errorf("kubectl %s warned of\n%s", step.args, got)
		}
	}
	counts, _, err := s.kubectl("", "get", "--raw", "/metrics")
	if err != nil || !strings.Contains(counts, `pod_security_evaluations_total{decision="deny",mode="enforce",policy_level="baseline",policy_version="latest"`) {
		t.Errorf("the refusal is not counted: %v", err)
	}
}
