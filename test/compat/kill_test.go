package compat

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// soak tells whether the long forms run.
func soak() bool { return os.Getenv("LATERNA_SOAK") != "" }

// writer updates a ConfigMap as fast as it can and remembers the last value that
// the server has acknowledged.
type writer struct {
	mu   sync.Mutex
	last int
}

func (w *writer) acknowledged() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

func (w *writer) run(ctx context.Context, client kubernetes.Interface) {
	for ctx.Err() == nil {
		next := w.acknowledged() + 1
		cm := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "watched"},
			Data:       map[string]string{"n": fmt.Sprint(next)},
		}
		if _, err := client.CoreV1().ConfigMaps("default").Update(ctx, cm, metav1.UpdateOptions{}); err != nil {
			continue
		}
		w.mu.Lock()
		w.last = next
		w.mu.Unlock()
	}
}

func TestKilledAtAnyPointNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	rounds := 10
	if soak() {
		rounds = 200
	}
	s := started(t)
	s.sh(t, "kubectl create configmap watched --from-literal=n=0")
	for _, pod := range []string{"a", "b"} {
		s.apply(t, "default", fmt.Sprintf(sleeper, pod))
	}
	s.running(t, "default", "a", "b")
	containers := func() string {
		return s.sh(t, `kubectl get pods -o jsonpath='{range .items[*]}{.metadata.name}{" "}{.status.containerStatuses[0].containerID}{" "}{.status.containerStatuses[0].restartCount}{" "}{.status.phase}{"\n"}{end}'`)
	}
	before := containers()
	w := &writer{}
	for round := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.run(ctx, s.client(t)) }()
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		s.Kill()
		cancel()
		<-done
		if err := s.Start(); err != nil {
			t.Fatalf("start %d after a kill: %v", round, err)
		}
		cm, err := s.client(t).CoreV1().ConfigMaps("default").Get(t.Context(), "watched", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		stored := 0
		fmt.Sscan(cm.Data["n"], &stored)
		if stored < w.acknowledged() {
			t.Fatalf("round %d: the store has %d, acknowledged was %d", round, stored, w.acknowledged())
		}
		for _, pod := range []string{"a", "b"} {
			eventually(t, 10*time.Second, func() error {
				out, _ := s.command(t, "kubectl", "exec", pod, "--", "cat", "/c/n").CombinedOutput()
				if got := strings.TrimSpace(string(out)); got != cm.Data["n"] {
					return fmt.Errorf("round %d: pod %s reads %q, the ConfigMap has %s", round, pod, got, cm.Data["n"])
				}
				return nil
			})
		}
	}
	if after := containers(); after != before {
		t.Errorf("containers before:\n%safter %d kills:\n%s", before, rounds, after)
	}
	t.Logf("%d kills, %d acknowledged writes", rounds, w.acknowledged())
}

func TestRestartLeavesContainersRunning(t *testing.T) {
	t.Parallel()
	s := started(t)
	// A number of its own, so that the process can be told from others.
	s.apply(t, "default", strings.Replace(fmt.Sprintf(sleeper, "stays"), "3600", "36017", 1))
	s.running(t, "default", "stays")
	const id = "kubectl get pod stays -o jsonpath='{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}'"
	before := s.sh(t, id)
	pid := processOf(t, s, "sleep 36017")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if now := processOf(t, s, "sleep 36017"); now != pid {
		t.Errorf("while laterna is stopped the container's process is %s, was %s", now, pid)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.running(t, "default", "stays")
	if after := s.sh(t, id); after != before {
		t.Errorf("container %s, before the restart %s", after, before)
	}
	s.sh(t, "kubectl delete pod stays --now")
}
