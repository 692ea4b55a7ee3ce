package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// first is the status of a pod's first container.
func first(p *corev1.Pod) corev1.ContainerStatus {
	if len(p.Status.ContainerStatuses) == 0 {
		return corev1.ContainerStatus{}
	}
	return p.Status.ContainerStatuses[0]
}

func crashLoops(restarts int32) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		s := first(p)
		return s.RestartCount == restarts && s.State.Waiting != nil && s.State.Waiting.Reason == "CrashLoopBackOff"
	}
}

func TestCrashLoop(t *testing.T) {
	w := newWorld(t)
	pod := w.create("crash", nil, `echo life; echo why > /dev/termination-log; exit 3`)
	got := w.waitFor("crash", "backs off after the first restart", crashLoops(1))
	s := first(got)
	if want := "back-off 10s restarting failed container=c0 pod=crash_default(" + string(pod.UID) + ")"; s.State.Waiting.Message != want {
		t.Errorf("message %q, want %q", s.State.Waiting.Message, want)
	}
	if last := s.LastTerminationState.Terminated; last == nil || last.ExitCode != 3 || last.Reason != "Error" || last.Message != "why\n" || last.ContainerID != s.ContainerID {
		t.Errorf("last state %+v", s.LastTerminationState)
	}
	if got.Status.Phase != corev1.PodRunning {
		t.Errorf("phase %s", got.Status.Phase)
	}
	// The next restart comes when the agent's clock has moved on, not earlier.
	w.jump(9 * time.Second)
	time.Sleep(100 * time.Millisecond)
	if n := first(w.pod("crash")).RestartCount; n != 1 {
		t.Errorf("%d restarts, a second too early", n)
	}
	w.jump(10 * time.Second)
	got = w.waitFor("crash", "backs off after the second restart", crashLoops(2))
	if m := first(got).State.Waiting.Message; !strings.HasPrefix(m, "back-off 20s ") {
		t.Errorf("message %q", m)
	}
	w.eventually("the back-off is recorded", func() error {
		if e := w.events(pod)["BackOff"]; len(e) == 0 || e[0] != "Back-off restarting failed container c0 in pod crash_default("+string(pod.UID)+")" {
			return fmt.Errorf("events %q", e)
		}
		return nil
	})
	for _, path := range []string{"/containerLogs/default/crash/c0", "/containerLogs/default/crash/c0?previous=1"} {
		if code, body := w.get("admin", path); code != 200 || body != "life\n" {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	// A new agent counts on: it neither starts over nor starts at once.
	w.stop()
	w.start()
	time.Sleep(200 * time.Millisecond)
	if s := first(w.pod("crash")); s.RestartCount != 2 {
		t.Errorf("after a restart of the agent: %d restarts", s.RestartCount)
	}
	w.waitFor("crash", "still backs off", crashLoops(2))
	w.jump(20 * time.Second)
	w.waitFor("crash", "backs off after the third restart", crashLoops(3))
	if logs, _ := filepath.Glob(filepath.Join(w.Dir.Path, "logs", "pods", "*", "c0", "*.log")); len(logs) != 2 {
		t.Errorf("logs kept: %v", logs)
	}
}

func TestRunsOnce(t *testing.T) {
	w := newWorld(t)
	never := func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever }
	onFailure := func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure }
	w.create("good", never, `echo done`, `sleep 0.3`)
	w.create("bad", never, `exit 0`, `exit 9`)
	w.create("retried", onFailure, `if [ -e /dev/shm/again ]; then exit 0; fi; : > /dev/shm/again; exit 1`)
	w.create("logged", func(p *corev1.Pod) {
		never(p)
		p.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	}, `echo last words; exit 1`)
	good := w.waitFor("good", "has succeeded", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	for _, c := range good.Status.Conditions {
		if (c.Type == corev1.PodReady || c.Type == corev1.PodInitialized) && c.Reason != "PodCompleted" {
			t.Errorf("condition %+v", c)
		}
	}
	if s := first(good); s.State.Terminated == nil || s.State.Terminated.Reason != "Completed" || good.Status.PodIP == "" {
		t.Errorf("status %+v", good.Status)
	}
	w.waitFor("bad", "has failed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	w.waitFor("retried", "has succeeded", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded && first(p).RestartCount == 1
	})
	logged := w.waitFor("logged", "has failed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	if m := first(logged).State.Terminated.Message; m != "last words\n" {
		t.Errorf("message %q", m)
	}
	w.eventually("the volumes are gone", func() error {
		if _, err := os.Stat(filepath.Join(w.Dir.Path, "pods", string(good.UID))); !os.IsNotExist(err) {
			return fmt.Errorf("pod directory: %v", err)
		}
		return nil
	})
	if code, body := w.get("admin", "/containerLogs/default/good/c0?follow=1"); code != 200 || body != "done\n" {
		t.Errorf("logs of a pod that has ended: %d %q", code, body)
	}
	// A new agent does not run them again, and keeps what was reported.
	w.stop()
	w.start()
	time.Sleep(300 * time.Millisecond)
	if again := w.pod("logged"); first(again).State.Terminated == nil || first(again).State.Terminated.Message != "last words\n" || first(again).RestartCount != 0 {
		t.Errorf("after a restart of the agent: %+v", again.Status)
	}
}

func TestTakeOver(t *testing.T) {
	w := newWorld(t)
	w.create("stays", func(p *corev1.Pod) {
		mode := int32(0o644)
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{DefaultMode: &mode, Items: []corev1.DownwardAPIVolumeFile{
			{Path: "annotations", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.annotations"}},
		}}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/etc/v"}}
	}, `sleep 1000`)
	files := func() string {
		out, _, _ := w.exec("stays", "c0", "", false, "sh", "-c", "busybox ls -l /etc/v/; busybox readlink /etc/v/..data; busybox cat /etc/v/annotations")
		return out
	}
	goes := w.create("goes", nil, `sleep 1000`)
	before := w.waitFor("stays", "runs", running)
	w.waitFor("goes", "runs", running)
	filesBefore := files()
	if !strings.Contains(filesBefore, `kubernetes.io/config.source="api"`) {
		t.Errorf("files:\n%s", filesBefore)
	}
	w.stop()
	if err := w.client.CoreV1().Pods("default").Delete(context.Background(), "goes", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.eventually("the orphan is gone", func() error { return w.empty(goes.UID) })
	after := w.waitFor("stays", "runs", running)
	if a, b := first(before), first(after); a.ContainerID != b.ContainerID || b.RestartCount != 0 || a.State.Running.StartedAt != b.State.Running.StartedAt {
		t.Errorf("before %+v, after %+v", a, b)
	}
	if before.Status.PodIP != after.Status.PodIP || !before.Status.StartTime.Equal(after.Status.StartTime) {
		t.Errorf("before %+v, after %+v", before.Status, after.Status)
	}
	time.Sleep(300 * time.Millisecond)
	if after := files(); after != filesBefore {
		t.Errorf("files before\n%s\nand after\n%s", filesBefore, after)
	}
}

// TestExitIsNoticed wants the end of a container in the API long before the next
// relist would find it.
func TestExitIsNoticed(t *testing.T) {
	w := newWorld(t)
	var worst time.Duration
	for i := range 3 {
		name := fmt.Sprintf("p%d", i)
		w.create(name, func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever }, `sleep 0.2`)
		got := w.waitFor(name, "has succeeded", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
		seen := time.Now()
		id := strings.TrimPrefix(first(got).ContainerID, "containerd://")
		c, err := w.CRI.ContainerStatus(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		worst = max(worst, seen.Sub(c.FinishedAt))
		t.Logf("noticed %s after the end", seen.Sub(c.FinishedAt).Round(time.Millisecond))
	}
	if worst > 700*time.Millisecond {
		t.Errorf("noticed %s after the end: by the relist, not by the event", worst)
	}
}

func TestForeignContainersAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	_, container := w.Run(t, "foreign", true, "sleep", "1000")
	w.create("p", nil, `sleep 1000`)
	w.waitFor("p", "runs", running)
	time.Sleep(1200 * time.Millisecond) // more than one relist
	c, err := w.CRI.ContainerStatus(context.Background(), container)
	if err != nil || c.State != 1 {
		t.Errorf("a container without the agent's mark: %+v, %v", c, err)
	}
}

func TestSandboxDies(t *testing.T) {
	w := newWorld(t)
	pod := w.create("p", nil, `sleep 1000`)
	before := w.waitFor("p", "runs", running)
	sandboxes, err := w.CRI.ListSandboxes(context.Background(), w.agent.runtime.Load().inventory.Of(pod.UID))
	if err != nil || len(sandboxes) != 1 {
		t.Fatalf("sandboxes %v, %v", sandboxes, err)
	}
	if err := w.CRI.StopSandbox(context.Background(), sandboxes[0].ID); err != nil {
		t.Fatal(err)
	}
	w.jump(10 * time.Second) // the container may have been restarted in the dying sandbox
	w.waitFor("p", "runs again", func(p *corev1.Pod) bool {
		return running(p) && first(p).RestartCount > 0 && first(p).ContainerID != first(before).ContainerID && p.Status.PodIP != before.Status.PodIP
	})
}

func TestImageChange(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Images.ImportFile(t.Context(), archive(t, "busybox:other"), ""); err != nil {
		t.Fatal(err)
	}
	w.create("p", nil, `trap "exit 0" TERM; sleep 1000 & wait`)
	got := w.waitFor("p", "runs", running)
	got.Spec.Containers[0].Image = "busybox:other"
	if _, err := w.client.CoreV1().Pods("default").Update(context.Background(), got, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.waitFor("p", "runs the other image", func(p *corev1.Pod) bool { return running(p) && first(p).RestartCount == 1 })
	w.eventually("the reason is recorded", func() error {
		if e := w.events(got)["Killing"]; len(e) != 1 || e[0] != "Container c0 definition changed, will be restarted" {
			return fmt.Errorf("events %q", e)
		}
		return nil
	})
}
