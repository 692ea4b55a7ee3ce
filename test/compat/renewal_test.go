package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const tokenBesideContent = `
apiVersion: v1
kind: Pod
metadata:
  name: both
  annotations:
    laterna.dev/on-update: |
      - {volumes: [v], container: c, check: [grep, -q, good, "$(LATERNA_CANDIDATE)/text"]}
spec:
  containers:
  - name: c
    image: busybox:1.28
    command: [sleep, "3600"]
    volumeMounts: [{name: v, mountPath: /v}]
  volumes:
  - name: v
    projected:
      sources:
      - serviceAccountToken: {path: token, expirationSeconds: 600}
      - configMap: {name: text}
`

// TestTokensAreRenewedBesideContentThatIsNot takes the content of a volume through a
// refusal, a restart of the agent and its deletion, and asks for a fresh token each time.
func TestTokensAreRenewedBesideContentThatIsNot(t *testing.T) {
	t.Parallel()
	s := started(t, "--test-clock")
	const ns = "default"
	s.sh(t, "kubectl create configmap text --from-literal=text='good 1'")
	s.apply(t, ns, tokenBesideContent)
	s.running(t, ns, "both")
	renewed := func(when string) {
		t.Helper()
		old := decode(t, s.exec(t, ns, "both", "cat", "/v/token")).ID
		s.sh(t, "laterna clock advance --data-dir "+s.Dir+" 9m")
		eventually(t, 20*time.Second, func() error {
			if decode(t, s.exec(t, ns, "both", "cat", "/v/token")).ID == old {
				return fmt.Errorf("%s the token is not renewed", when)
			}
			return nil
		})
		if got := s.exec(t, ns, "both", "cat", "/v/text"); got != "good 1" {
			t.Errorf("%s the content is %q", when, got)
		}
	}
	event := func(parts ...string) {
		t.Helper()
		eventually(t, 20*time.Second, func() error {
			all := s.sh(t, "kubectl get events -o custom-columns=R:.reason,M:.message --no-headers --field-selector=involvedObject.name=both")
			for _, part := range parts {
				if !strings.Contains(all, part) {
					return fmt.Errorf("no %q in\n%s", part, all)
				}
			}
			return nil
		})
	}
	s.sh(t, `kubectl patch configmap text -p '{"data":{"text":"bad 2"}}'`)
	event("UpdateRejected")
	renewed("after a refusal")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	// The agent serves exec a moment after the API is there.
	eventually(t, 20*time.Second, func() error { return s.command(t, "kubectl", "exec", "-n", ns, "both", "--", "true").Run() })
	renewed("after a restart")
	s.sh(t, "kubectl delete configmap text")
	event("FailedMount", `MountVolume.SetUp failed for volume "v" : configmap "text" not found`)
	renewed("without the object")
	s.sh(t, "kubectl create configmap text --from-literal=text='good 3'")
	eventually(t, 20*time.Second, func() error {
		if got := s.exec(t, ns, "both", "cat", "/v/text"); got != "good 3" {
			return fmt.Errorf("the content is %q", got)
		}
		return nil
	})
}
