package node

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stubborn makes a pod that ignores SIGTERM, and returns when it does: a container runs a
// moment before its program has said so.
func (w *world) stubborn() *corev1.Pod {
	w.t.Helper()
	pod := w.create("p", nil, `trap "" TERM; echo deaf; while :; do sleep 1; done`)
	w.waitFor("p", "runs", running)
	w.printed("p", "deaf")
	return pod
}

// mark sets a deletion with a grace period, as the API server does first.
func (w *world) mark(name string, grace time.Duration) {
	w.t.Helper()
	pod := w.pod(name)
	seconds, at := int64(grace/time.Second), metav1.NewTime(time.Now().Truncate(time.Second).Add(grace))
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &at, &seconds
	if err := w.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), pod, "default"); err != nil {
		w.t.Fatal(err)
	}
}

func TestGracePeriod(t *testing.T) {
	w := newWorld(t)
	pod := w.stubborn()
	begun := time.Now()
	w.mark("p", 3*time.Second)
	w.eventually("it is gone", func() error { return w.empty(pod.UID) })
	if took := time.Since(begun); took < 2900*time.Millisecond || took > 6*time.Second {
		t.Errorf("a container that ignores SIGTERM was ended after %s, with a grace period of 3 s", took)
	}
}

func TestGracePeriodCutShort(t *testing.T) {
	w := newWorld(t)
	pod := w.stubborn()
	w.mark("p", time.Minute)
	time.Sleep(300 * time.Millisecond)
	begun := time.Now()
	w.mark("p", time.Second)
	w.eventually("it is gone", func() error { return w.empty(pod.UID) })
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("ended %s after the grace period was cut to 1 s", took)
	}
}

func TestForcedDeletion(t *testing.T) {
	w := newWorld(t)
	pod := w.stubborn()
	if err := w.client.CoreV1().Pods("default").Delete(context.Background(), "p", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	again := w.create("p", nil, `sleep 1000`)
	w.eventually("the old one is gone", func() error { return w.empty(pod.UID) })
	if got := w.waitFor("p", "runs", running); got.UID != again.UID {
		t.Errorf("pod %s runs, want %s", got.UID, again.UID)
	}
}

func TestDeletionWhileTheAgentIsAway(t *testing.T) {
	w := newWorld(t)
	pod := w.create("p", nil, `sleep 1000`)
	w.waitFor("p", "runs", running)
	w.stop()
	w.mark("p", 2*time.Second)
	w.start()
	w.eventually("a deletion is noticed by the next agent", func() error { return w.empty(pod.UID) })
}
