package node

import (
	"fmt"
	"testing"
	"time"
)

// TestManyPodsAtOnce starts and ends pods that all come in the same moment.
func TestManyPodsAtOnce(t *testing.T) {
	w := newWorld(t)
	const n = 12
	begun := time.Now()
	for i := range n {
		w.create(fmt.Sprintf("p%d", i), nil, `trap "exit 0" TERM; sleep 1000 & wait`)
	}
	w.eventually("all run", func() error {
		left := 0
		for _, p := range w.pods() {
			if !running(&p) {
				left++
			}
		}
		if left > 0 {
			return fmt.Errorf("%d do not run", left)
		}
		return nil
	})
	t.Logf("%d pods ran after %s", n, time.Since(begun).Round(time.Millisecond))
	pods := w.pods()
	for i := range pods {
		w.mark(pods[i].Name, 2*time.Second)
	}
	for i := range pods {
		w.eventually(pods[i].Name+" is gone", func() error { return w.empty(pods[i].UID) })
	}
	if left := len(w.pods()); left > 0 {
		t.Errorf("%d pods are left in the API", left)
	}
}

// BenchmarkPodStart measures from the creation of a pod of one container to its
// status Running in the API.
func BenchmarkPodStart(b *testing.B) {
	w := newWorld(b)
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprintf("p%d", i)
		w.create(name, nil, `trap "exit 0" TERM; sleep 1000 & wait`)
		w.waitFor(name, "runs", running)
		b.StopTimer()
		w.delete(name)
		b.StartTimer()
	}
}
