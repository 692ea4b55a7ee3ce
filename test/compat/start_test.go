package compat

import "testing"

func TestContainerThatCannotStartFailsItsPod(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: never}
spec:
  restartPolicy: Never
  containers: [{name: main, image: "busybox:1.28", command: [/no/such/program]}]
`)
	s.sh(t, "kubectl wait -n "+ns+" --for=jsonpath='{.status.phase}'=Failed --timeout=30s pod/never")
	if got := s.field(t, ns, "pod/never", "{.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}"); got != "StartError 128" {
		t.Errorf("the container ended by %q", got)
	}
}
