package compat

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

// neighbour runs a pod beside a hostile one, and fails unless it can be reached and
// changed, and the node is ready.
func (s *system) neighbour(t *testing.T, ns string) (check func()) {
	t.Helper()
	s.apply(t, ns, strings.Replace(fmt.Sprintf(sleeper, "neighbour"), "spec:\n", "spec:\n  terminationGracePeriodSeconds: 0\n", 1))
	s.running(t, ns, "neighbour")
	return func() {
		t.Helper()
		if got := s.exec(t, ns, "neighbour", "echo", "here"); got != "here\n" {
			t.Errorf("the neighbour says %q", got)
		}
		if got := s.sh(t, `kubectl get nodes -o jsonpath='{.items[0].status.conditions[?(@.type=="Ready")].status}'`); got != "True" {
			t.Errorf("the node is ready: %s", got)
		}
	}
}

// TestLogsOfAnySize: a line of a mebibyte comes as it is, a million lines come all, a line
// without an end neither fills the memory of who reads it nor the disk.
func TestLogsOfAnySize(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	check := s.neighbour(t, ns)
	for name, script := range map[string]string{
		"line":    `head -c 1048576 /dev/zero | tr '\0' x; echo; echo end; sleep 2`,
		"lines":   `seq 1 1000000; sleep 2`,
		"endless": `tr '\0' y < /dev/zero`,
	} {
		s.apply(t, ns, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "busybox:1.28", command: [sh, -c, %q]}]
`, name, strings.ReplaceAll(script, `\0`, `\000`)))
	}
	s.sh(t, "kubectl wait -n "+ns+" --for=condition=Ready --timeout=45s pod/endless")
	out, err := s.command(t, "kubectl", "logs", "-n", ns, "endless", "--limit-bytes=100000").Output()
	if err != nil || len(out) != 100000 || strings.Trim(string(out), "y") != "" {
		t.Errorf("beginning of a line without an end: %d bytes, %v", len(out), err)
	}
	check()
	s.sh(t, "kubectl delete pod -n "+ns+" endless --timeout=40s")
	s.sh(t, "kubectl wait -n "+ns+" --for=jsonpath='{.status.phase}'=Succeeded --timeout=55s pod/line pod/lines")
	out, err = s.command(t, "kubectl", "logs", "-n", ns, "line").Output()
	if want := append(bytes.Repeat([]byte("x"), 1<<20), "\nend\n"...); err != nil || !bytes.Equal(out, want) {
		t.Errorf("a line of a mebibyte: %d bytes, %v", len(out), err)
	}
	out, err = s.command(t, "kubectl", "logs", "-n", ns, "lines", "--tail=1").Output()
	if err != nil || string(out) != "1000000\n" {
		t.Errorf("last line: %q, %v", out, err)
	}
	check()
}

// TestExecStormIsBounded has clients open more streams than a pod may have: the rest is
// refused in words, and neighbours are reached all the while.
func TestExecStormIsBounded(t *testing.T) {
	s := shared
	ns := s.namespace(t)
	check := s.neighbour(t, ns)
	s.apply(t, ns, strings.Replace(fmt.Sprintf(sleeper, "stormed"), "spec:\n", "spec:\n  terminationGracePeriodSeconds: 0\n", 1))
	s.running(t, ns, "stormed")
	const clients, most = 150, 100
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	began, refused := make(chan struct{}, clients), make(chan string, clients)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			out := begins{began: began}
			if err := s.stream(ctx, t, ns, "stormed", &out, "sh", "-c", "echo began; exec sleep 3600"); err != nil && !out.has {
				refused <- err.Error()
			}
		})
	}
	eventually(t, stepTimeout, func() error {
		if got := len(began) + len(refused); got < clients {
			return fmt.Errorf("%d began, %d were refused, of %d", len(began), len(refused), clients)
		}
		return nil
	})
	check()
	if len(began) != most {
		t.Errorf("%d began at a time, not %d", len(began), most)
	}
	leave()
	all.Wait()
	close(refused)
	for said := range refused {
		if !strings.Contains(said, "100 of exec and attach are open to pod "+ns+"/stormed, which is the most") {
			t.Errorf("refused with %q", said)
		}
	}
	eventually(t, 20*time.Second, func() error {
		out, err := s.command(t, "kubectl", "exec", "-n", ns, "stormed", "--", "echo", "here").CombinedOutput()
		if string(out) != "here\n" {
			return fmt.Errorf("after the storm: %q, %v", out, err)
		}
		return nil
	})
	check()
}

// begins tells of the first bytes that are written to it.
type begins struct {
	began chan<- struct{}
	has   bool
}

func (b *begins) Write(p []byte) (int, error) {
	if !b.has {
		b.has = true
		b.began <- struct{}{}
	}
	return len(p), nil
}

// stream runs a command in a pod, without a process of kubectl for it.
func (s *system) stream(ctx context.Context, t testing.TB, ns, pod string, out io.Writer, command ...string) error {
	request := s.client(t).CoreV1().RESTClient().Post().Namespace(ns).Resource("pods").Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: command, Stdout: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(s.config(t), "POST", request.URL())
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: out})
}

// TestTerminationMessageOfTerabytesIsCut: a container may make its file as large as it
// likes at no cost.
func TestTerminationMessageOfTerabytesIsCut(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	check := s.neighbour(t, ns)
	s.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  restartPolicy: Never
  containers:
  - {name: sparse, image: "busybox:1.28", command: [sh, -c, "echo begin > /dev/termination-log; truncate -s 4398046511104 /dev/termination-log"]}
  - {name: pipe, image: "busybox:1.28", command: [sh, -c, "mkfifo /tmp/p && ln -sf /tmp/p /dev/termination-log; exit 3"]}
`)
	s.sh(t, "kubectl wait -n "+ns+" --for=jsonpath='{.status.phase}'=Failed --timeout=50s pod/p")
	message := s.field(t, ns, "pod/p", `{.status.containerStatuses[?(@.name=="sparse")].state.terminated.message}`)
	if len(message) > 4096 {
		t.Errorf("a message of %d bytes", len(message))
	}
	if code := s.field(t, ns, "pod/p", `{.status.containerStatuses[?(@.name=="sparse")].state.terminated.exitCode}`); code != "0" {
		t.Errorf("the file was not made: exit code %s", code)
	}
	check()
}

// TestContainersThatIgnoreSIGTERMAreKilled, after their grace, beside others that end.
func TestContainersThatIgnoreSIGTERMAreKilled(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	check := s.neighbour(t, ns)
	s.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 3
  containers:
  - {name: deaf, image: "busybox:1.28", command: [sh, -c, "trap '' TERM INT HUP QUIT; while :; do sleep 1; done"]}
  - {name: polite, image: "busybox:1.28", command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]}
`)
	s.running(t, ns, "p")
	start := time.Now()
	s.sh(t, "kubectl delete pod -n "+ns+" p --timeout=50s")
	if took := time.Since(start); took < 3*time.Second || took > 25*time.Second {
		t.Errorf("gone after %s, its grace is 3 s", took)
	}
	check()
}
