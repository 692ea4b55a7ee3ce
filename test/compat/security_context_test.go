package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const securityPods = `
apiVersion: v1
kind: Pod
metadata: {name: contexts}
spec:
  securityContext: {supplementalGroups: [4000], fsGroup: 3000, fsGroupChangePolicy: OnRootMismatch, supplementalGroupsPolicy: Merge}
  containers:
  - {name: plain, image: 'busybox:1.28', command: [sleep, "3600"]}
  - {name: privileged, image: 'busybox:1.28', command: [sleep, "3600"], securityContext: {privileged: true}}
  - {name: confined, image: 'busybox:1.28', command: [sleep, "3600"], securityContext: {allowPrivilegeEscalation: false, seccompProfile: {type: RuntimeDefault}}}
---
apiVersion: v1
kind: Pod
metadata: {name: strict}
spec:
  securityContext: {supplementalGroupsPolicy: Strict}
  containers: [{name: main, image: 'busybox:1.28', command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: profile}
spec:
  securityContext: {seccompProfile: {type: Localhost, localhostProfile: none.json}}
  containers: [{name: main, image: 'busybox:1.28', command: [sleep, "3600"]}]
`

// TestSecurityContextIsHonouredOrRefused: what the kernel says of each container's first
// process, and what a user is told of what this node does not have.
func TestSecurityContextIsHonouredOrRefused(t *testing.T) {
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, securityPods)
	s.running(t, ns, "contexts")
	for container, want := range map[string]string{"plain": "0 0 ro", "privileged": "0 0 rw", "confined": "1 2 ro"} {
		got := s.sh(t, "kubectl exec -n "+ns+" contexts -c "+container+` -- sh -c 'echo $(awk "/^(NoNewPrivs|Seccomp):/ {print \$2}" /proc/1/status) $(awk "\$2 == \"/proc/sys\" {p = substr(\$4, 1, 2)} END {print p ? p : \"rw\"}" /proc/mounts)'`)
		if strings.TrimSpace(got) != want {
			t.Errorf("%s: no new privileges, seccomp, /proc/sys: %q, want %q", container, got, want)
		}
	}
	contains(t, s.sh(t, "kubectl exec -n "+ns+" contexts -c plain -- id"), "3000", "4000")
	if s.sh(t, "kubectl get node -o jsonpath={.items[0].status.features.supplementalGroupsPolicy}") == "true" {
		t.Fatal("the runtime knows strict groups now: this test is to check them")
	}

	for pod, wants := range map[string][]string{
		"strict":  {"SupplementalGroupsPolicyNotSupported", "SupplementalGroupsPolicy=Strict is not supported in this node"},
		"profile": {"CreateContainerError", `cannot load seccomp profile "none.json"`},
	} {
		eventually(t, 30*time.Second, func() error {
			got := s.sh(t, "kubectl get pod -n "+ns+" "+pod+" -o jsonpath='{.status.reason} {.status.message} {.status.containerStatuses[0].state.waiting.reason} {.status.containerStatuses[0].state.waiting.message}'")
			for _, want := range wants {
				if !strings.Contains(got, want) {
					return fmt.Errorf("%s does not say %q:\n%s", pod, want, got)
				}
			}
			return nil
		})
	}
	unmasked := strings.Replace(fmt.Sprintf(sleeper, "unmasked"), "image: busybox:1.28", "image: busybox:1.28\n    securityContext: {procMount: Unmasked}", 1)
	contains(t, s.refused(t, ns, unmasked), "`hostUsers` must be false to use `Unmasked`")
}
