package podworker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/onupdate"
)

func newPod(policy corev1.RestartPolicy) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", UID: "u"},
		Spec: corev1.PodSpec{
			RestartPolicy: policy, DNSPolicy: corev1.DNSDefault,
			Containers: []corev1.Container{{Name: "c", Image: "i", ImagePullPolicy: corev1.PullIfNotPresent}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
}

// deleted is a pod that is to be deleted.
func deleted(pod *corev1.Pod) *corev1.Pod {
	out := pod.DeepCopy()
	out.DeletionTimestamp, out.DeletionGracePeriodSeconds = &metav1.Time{Time: time.Now()}, new(int64(1))
	return out
}

// begin runs a worker. The function it returns waits for its end and returns whether
// the pod is gone.
func begin(t *testing.T, w *Worker) (end func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan bool, 1)
	go func() { done <- w.Run(ctx) }()
	ended := false
	end = func() bool {
		t.Helper()
		ended = true
		select {
		case gone := <-done:
			return gone
		case <-time.After(10 * time.Second):
			t.Fatal("the worker does not end")
			return false
		}
	}
	t.Cleanup(func() {
		cancel()
		if !ended {
			<-done
		}
	})
	return end
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for range 2000 {
		if check() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not within 10 s: %s", what)
}

func runs(w *Worker) func() bool {
	return func() bool {
		s := w.Snapshot().Status
		return s != nil && s.Phase == corev1.PodRunning
	}
}

// TestOrderOfALife wants each part of a life after what it stands on, and what a crash
// between two of them needs again removed last: nothing is left that nobody knows of.
func TestOrderOfALife(t *testing.T) {
	m := newMachine(t)
	pod := newPod(corev1.RestartPolicyAlways)
	w := New(m.deps(), pod, Origin{Seen: "now"})
	end := begin(t, w)
	eventually(t, "the pod runs", func() bool { return slices.Contains(m.done(), "report Running") })
	started := m.done()
	for _, pair := range [][2]string{{"make group", "run sandbox"}, {"run sandbox", "create c"}, {"publish", "create c"}, {"create c", "start c0"}, {"start c0", "report Running"}} {
		before, after := slices.Index(started, pair[0]), slices.Index(started, pair[1])
		if before < 0 || after < before {
			t.Errorf("%q is to be done before %q: %q", pair[0], pair[1], started)
		}
	}
	w.Update(deleted(pod))
	eventually(t, "the pod is removed", func() bool { return slices.Contains(m.done(), "remove c0") })
	ended := m.done()[len(started):]
	want := []string{"stop c0", "stop sandbox", "report Succeeded", "tear down", "remove projection", "remove group", "delete pod u", "remove sandbox", "remove c0"}
	// The report goes its own way, and is in the API before the pod is not.
	reported := slices.Index(ended, "report Succeeded")
	if reported < slices.Index(ended, "stop sandbox") || reported > slices.Index(ended, "delete pod u") {
		t.Errorf("reported at %d of %q", reported, ended)
	}
	withoutReport := func(all []string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "report Succeeded" }), ", ")
	}
	if withoutReport(ended) != withoutReport(want) {
		t.Errorf("the end was\n%q, want\n%q", ended, want)
	}
	w.Remove(deleted(pod))
	if !end() {
		t.Error("the worker ended before its pod was gone")
	}
}

func TestPodThatHasEndedKeepsItsContainersForTheirLogs(t *testing.T) {
	m := newMachine(t)
	w := New(m.deps(), newPod(corev1.RestartPolicyNever), Origin{})
	begin(t, w)
	eventually(t, "the pod runs", runs(w))
	m.note(func() { m.ends("c0", cri.ContainerExited, 3) }, "exit")
	w.RuntimeEvent(cri.Event{ID: "c0", Kind: cri.EventExited})
	eventually(t, "the volumes are torn down", func() bool { return slices.Contains(m.done(), "remove group") })
	if s := w.Snapshot(); s.Status.Phase != corev1.PodFailed || len(s.Runtime.Containers) != 1 || len(s.Running()) != 0 {
		t.Errorf("snapshot %+v", s)
	}
	if did := m.done(); slices.Contains(did, "remove c0") || slices.Contains(did, "delete pod u") {
		t.Errorf("did %q", did)
	}
}

// TestLastReportTellsOfTheEnd has a runtime that answers that a container has stopped, for
// its process is gone, a few looks before its own state says so.
func TestLastReportTellsOfTheEnd(t *testing.T) {
	m := newMachine(t)
	m.lag = 3
	pod := newPod(corev1.RestartPolicyAlways)
	w := New(m.deps(), pod, Origin{})
	begin(t, w)
	eventually(t, "the pod runs", runs(w))
	w.Update(deleted(pod))
	eventually(t, "the pod is deleted", func() bool { return slices.Contains(m.done(), "delete pod u") })
	s := w.Snapshot().Status.ContainerStatuses[0].State
	if s.Terminated == nil || s.Terminated.ExitCode != 7 {
		t.Errorf("the container was told of last as %+v", s)
	}
	if stops := strings.Count(strings.Join(m.done(), ","), "stop c0"); stops != 1 {
		t.Errorf("stopped %d times", stops)
	}
}

// TestDeletionEndsAPull has a registry that never answers.
func TestDeletionEndsAPull(t *testing.T) {
	m := newMachine(t)
	m.absent = true
	pod := newPod(corev1.RestartPolicyAlways)
	w := New(m.deps(), pod, Origin{})
	begin(t, w)
	<-m.pulls
	begun := time.Now()
	w.Update(deleted(pod))
	eventually(t, "the pod is deleted", func() bool { return slices.Contains(m.done(), "delete pod u") })
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("deleted after %s", took)
	}
}

func TestNothingIsStartedBeforeTheVolumesAreThere(t *testing.T) {
	m := newMachine(t)
	m.published = make(chan struct{})
	w := New(m.deps(), newPod(corev1.RestartPolicyAlways), Origin{})
	begin(t, w)
	eventually(t, "the sandbox is there", func() bool { return slices.Contains(m.done(), "run sandbox") })
	time.Sleep(50 * time.Millisecond)
	if did := m.done(); slices.Contains(did, "create c") {
		t.Errorf("did %q", did)
	}
	close(m.published)
	eventually(t, "the pod runs", runs(w))
}

func TestNothingIsStartedInASandboxThatIsNotBoundToItsAddresses(t *testing.T) {
	m := newMachine(t)
	m.unbound.Store(true)
	w := New(m.deps(), newPod(corev1.RestartPolicyAlways), Origin{})
	begin(t, w)
	eventually(t, "binding is tried again", func() bool {
		return strings.Count(strings.Join(m.done(), ","), "bind sandbox0") > 1
	})
	if did := m.done(); slices.Contains(did, "create c") {
		t.Errorf("did %q", did)
	}
	m.unbound.Store(false)
	eventually(t, "the pod runs", runs(w))
}

func TestRefusedAndEvictedPodsFail(t *testing.T) {
	m := newMachine(t)
	w := New(m.deps(), newPod(corev1.RestartPolicyAlways), Origin{Refused: &status.Waiting{Reason: "OutOfcpu", Message: "no room"}})
	begin(t, w)
	eventually(t, "it fails", func() bool { return slices.Contains(m.done(), "remove group") })
	if s := w.Snapshot().Status; s.Phase != corev1.PodFailed || s.Reason != "OutOfcpu" || s.Message != "Pod was rejected: no room" {
		t.Errorf("refused: %+v", s)
	}
	if did := m.done(); slices.Contains(did, "run sandbox") {
		t.Errorf("did %q", did)
	}

	m = newMachine(t)
	w = New(m.deps(), newPod(corev1.RestartPolicyAlways), Origin{})
	begin(t, w)
	eventually(t, "the pod runs", runs(w))
	w.Evict("took it all")
	w.Evict("and more")
	eventually(t, "it fails", func() bool { return slices.Contains(m.done(), "remove group") })
	if s := w.Snapshot().Status; s.Phase != corev1.PodFailed || s.Reason != "Evicted" || s.Message != "took it all" {
		t.Errorf("evicted: %+v", s)
	}
	if did := m.done(); slices.Index(did, "stop c0") < 0 {
		t.Errorf("did %q", did)
	}
}

func TestPodEvictedForRoomKeepsNothing(t *testing.T) {
	m := newMachine(t)
	w := New(m.deps(), newPod(corev1.RestartPolicyAlways), Origin{})
	begin(t, w)
	eventually(t, "the pod runs", runs(w))
	w.EvictForRoom("took it all")
	eventually(t, "it keeps nothing", func() bool { return slices.Contains(m.done(), "remove sandbox") })
	if s := w.Snapshot().Status; s.Phase != corev1.PodFailed || s.Reason != "Evicted" || s.Message != "took it all" || len(s.ContainerStatuses) != 1 {
		t.Errorf("evicted: %+v", s)
	}

	// One that has ended by itself keeps its phase, and gives back what it kept for its logs.
	m = newMachine(t)
	pod := newPod(corev1.RestartPolicyNever)
	pod.Status.Phase = corev1.PodSucceeded
	m.sandboxes = []cri.Sandbox{{ID: "s"}}
	m.containers = []cri.Container{{ID: "c0", SandboxID: "s", Name: "c", State: cri.ContainerExited}}
	w = New(m.deps(), pod, Origin{OnRuntime: true})
	begin(t, w)
	eventually(t, "it is finished", func() bool { return slices.Contains(m.done(), "remove group") })
	if did := m.done(); slices.Contains(did, "remove sandbox") {
		t.Errorf("without being asked: %q", did)
	}
	w.EvictForRoom("")
	eventually(t, "it keeps nothing", func() bool { return slices.Contains(m.done(), "remove sandbox") })
	if s := w.Snapshot().Status; s != nil && s.Phase != corev1.PodSucceeded {
		t.Errorf("ended: %+v", s)
	}
}

// TestOrphanIsRemoved has what the API knows nothing of.
func TestOrphanIsRemoved(t *testing.T) {
	m := newMachine(t)
	m.sandboxes = []cri.Sandbox{{ID: "s"}}
	m.containers = []cri.Container{{ID: "c0", SandboxID: "s", Name: "c", State: cri.ContainerRunning}}
	w := New(m.deps(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", UID: "u"}}, Origin{Gone: true, OnRuntime: true})
	if !begin(t, w)() {
		t.Error("the worker ended before its pod was gone")
	}
	want := "stop c0, stop sandbox, tear down, remove projection, remove group, remove sandbox, remove c0"
	if did := strings.Join(m.done(), ", "); did != want {
		t.Errorf("did %q, want %q", did, want)
	}
}

// TestReplace replaces a container that would not be started again.
func TestReplace(t *testing.T) {
	m := newMachine(t)
	w := New(m.deps(), newPod(corev1.RestartPolicyNever), Origin{})
	begin(t, w)
	eventually(t, "the pod runs", runs(w))
	select {
	case <-w.Replace(onupdate.Restart{Pod: "u", Container: "c", ID: "another"}):
	default:
		t.Error("a container that is there no more is still to be replaced")
	}
	first := w.Replace(onupdate.Restart{Pod: "u", Container: "c", ID: "c0"})
	second := w.Replace(onupdate.Restart{Pod: "u", Container: "c", ID: "c0"})
	for i, done := range []<-chan struct{}{first, second} {
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatalf("wish %d is not fulfilled", i)
		}
	}
	eventually(t, "the next one runs", func() bool {
		running := w.Snapshot().Running()
		return len(running) == 1 && running[0].ID == "c1"
	})
	if n := len(slices.DeleteFunc(m.done(), func(s string) bool { return s != "stop c0" })); n != 1 {
		t.Errorf("stopped %d times", n)
	}
}

// TestReadersSeeWholeSnapshots reads while a worker works: what was read never changes.
func TestReadersSeeWholeSnapshots(t *testing.T) {
	m := newMachine(t)
	pod := newPod(corev1.RestartPolicyAlways)
	w := New(m.deps(), pod, Origin{})
	begin(t, w)
	stop := make(chan struct{})
	read := make(chan error, 1)
	go func() {
		for {
			s := w.Snapshot()
			before := fmt.Sprint(s.Runtime, s.Status, s.starting, s.settles, s.Pod.Labels)
			s.ForUpdates("c", time.Now())
			s.Waiting("c")
			s.Reported()
			if after := fmt.Sprint(s.Runtime, s.Status, s.starting, s.settles, s.Pod.Labels); after != before {
				read <- fmt.Errorf("a snapshot has changed from\n%s to\n%s", before, after)
				return
			}
			select {
			case <-stop:
				read <- nil
				return
			default:
			}
		}
	}()
	eventually(t, "the pod runs", runs(w))
	for i := range 20 {
		next := pod.DeepCopy()
		next.Labels = map[string]string{"n": fmt.Sprint(i)}
		w.Update(next)
		id := fmt.Sprint("c", i)
		done := w.Replace(onupdate.Restart{Pod: "u", Container: "c", ID: id})
		w.Kick()
		w.Poke()
		<-done
		eventually(t, "the next one is seen", func() bool {
			running := w.Snapshot().Running()
			return len(running) == 1 && running[0].ID != id
		})
	}
	close(stop)
	if err := <-read; err != nil {
		t.Error(err)
	}
}
