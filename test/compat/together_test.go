package compat

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// togetherPod has all that updates have on one volume of every source: a check that
// prints the volume's Secret, an action that does, and a mount by subPath that
// follows. Its verbs are the names of pod, label (volume and container), key and
// objects.
const togetherPod = `
apiVersion: v1
kind: Pod
metadata:
  name: %[1]s
  annotations:
    laterna.dev/subpath-updates: "true"
    laterna.dev/on-update: |
      - {volumes: [%[2]s], container: %[2]s, check: [sh, -c, "cat $0/password; cat $0/password >&2; grep -q good $0/%[3]s", $(LATERNA_CANDIDATE)]}
      - {volumes: [%[2]s], container: %[2]s, exec: [sh, -c, "cat /whole/password; cat /one >> /tmp/told; exit 3"]}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: %[2]s
    image: busybox:1.28
    command: [sleep, "3600"]
    volumeMounts:
    - {name: %[2]s, mountPath: /whole}
    - {name: %[2]s, mountPath: /one, subPath: %[3]s}
  volumes:
  - name: %[2]s
    projected:
      sources:
      - configMap: {name: %[1]s}
      - secret: {name: %[1]s}
      - serviceAccountToken: {path: token, audience: vault, expirationSeconds: 600}
      - downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}
`

// TestUpdatesTogetherWithNamesAtTheLimits has a check, an action, a file by subPath
// and the PodProjection of one volume, with names as long as they may be. What the
// commands print of the Secret is nowhere to be read.
func TestUpdatesTogetherWithNamesAtTheLimits(t *testing.T) {
	const secret = "Hush-4711-not-to-be-told"
	s := shared
	ns := s.namespace(t)
	k := "kubectl -n " + ns + " "
	label := strings.Repeat("l", 63)
	pod := label + "." + label + "." + label + "." + strings.Repeat("p", 61)
	key := strings.Repeat("k", 253)
	s.sh(t, k+"create configmap "+pod+" --from-literal="+key+"=good-1")
	s.sh(t, k+"create secret generic "+pod+" --from-literal=password="+secret)
	s.apply(t, ns, fmt.Sprintf(togetherPod, pod, label, key))
	s.running(t, ns, pod)

	update := func(value string) {
		s.sh(t, k+fmt.Sprintf(`patch configmap %s -p '{"data":{%q:%q}}'`, pod, key, value))
	}
	shows := func(want string) {
		t.Helper()
		eventually(t, 20*time.Second, func() error {
			if got := s.exec(t, ns, pod, "sh", "-c", "cat /whole/"+key+" /one; touch /tmp/told; tail -c 6 /tmp/told"); got != strings.Repeat(want, 3) {
				return errors.New("the container sees " + got)
			}
			return nil
		})
	}
	update("good-2")
	shows("good-2")
	update("wrong3")
	eventually(t, 20*time.Second, func() error {
		status := s.sh(t, k+"get podprojection "+pod+" -o yaml")
		if !strings.Contains(status, "reason: UpdateRejected") || !strings.Contains(status, "result: Failed") {
			return errors.New(status)
		}
		return nil
	})
	shows("good-2")
	told := s.sh(t, k+"get events,podprojections -o yaml")
	contains(t, told, "UpdateRejected", "UpdateActionFailed", "what it printed is not shown")
	if strings.Contains(told, secret) {
		t.Errorf("the Secret is told:\n%s", told)
	}
	update("good-4")
	shows("good-4")
	s.sh(t, k+"delete pod "+pod+" --timeout=20s")
	eventually(t, 20*time.Second, func() error {
		if left := s.sh(t, "ls "+s.Dir+"/logs/pods"); strings.Contains(left, ns) {
			return errors.New("the logs of the pod are left: " + left)
		}
		return nil
	})
}
