package compat

import (
	"strings"
	"testing"
	"time"
)

// growing fills its volume soon after its start; the other volumes may hold as much.
const growing = `
apiVersion: v1
kind: Pod
metadata: {name: growing}
spec:
  terminationGracePeriodSeconds: 30
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "dd if=/dev/zero of=/free/f bs=1M count=3; dd if=/dev/zero of=/small/f bs=1M count=1; sleep 2; dd if=/dev/zero of=/small/g bs=1M count=2; exec sleep 3600"]
    volumeMounts: [{name: small, mountPath: /small}, {name: free, mountPath: /free}]
  volumes:
  - name: small
    emptyDir: {sizeLimit: 2Mi}
  - name: free
    emptyDir: {}
`

func TestPodsThatOutgrowAnEmptyDirAreEvicted(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.apply(t, ns, growing)
	shared.running(t, ns, "growing")
	began := time.Now()
	shared.sh(t, "kubectl wait -n "+ns+" pod/growing --for=jsonpath='{.status.phase}'=Failed --timeout=50s")
	t.Logf("evicted after %v", time.Since(began).Round(time.Second))
	status := shared.field(t, ns, "pod/growing", "{.status.reason}: {.status.message}")
	if want := `Evicted: Usage of EmptyDir volume "small" exceeds the limit "2Mi". `; status != want {
		t.Errorf("status %q, want %q", status, want)
	}
	event := shared.field(t, ns, "events --field-selector=reason=Evicted", "{.items[*].type} {.items[*].message}")
	if want := `Warning Usage of EmptyDir volume "small" exceeds the limit "2Mi". `; strings.TrimRight(event, " ") != strings.TrimRight(want, " ") {
		t.Errorf("event %q, want %q", event, want)
	}
	ended := shared.field(t, ns, "pod/growing", "{.status.containerStatuses[0].state.terminated.exitCode}")
	if ended != "137" { // sleep does not listen, and nobody waits for it
		t.Errorf("exit code %q", ended)
	}
}
