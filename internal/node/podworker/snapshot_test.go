package podworker

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/onupdate"
)

// waiting is a status in which container c waits.
func waiting(reason string) *corev1.PodStatus {
	return &corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{Name: "other", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "Other"}}},
		{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}},
	}}
}

func TestWhyAContainerWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		status *corev1.PodStatus
		reason string
		waits  bool
	}{
		"not reported yet": {nil, "ContainerCreating", true},
		"runs":             {&corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "c"}}}, "ContainerCreating", false},
		"crashes":          {waiting(status.CrashLoopBackOff), "CrashLoopBackOff", true},
		"no image":         {waiting(status.ErrImagePull), "image can't be pulled", true},
		"still no image":   {waiting(status.ImagePullBackOff), "trying and failing to pull image", true},
	} {
		if reason, waits := (&Snapshot{Status: tt.status}).Waiting("c"); reason != tt.reason || waits != tt.waits {
			t.Errorf("%s: %q, %t", name, reason, waits)
		}
	}
}

func TestForUpdates(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	of := func(state cri.ContainerState) lifecycle.Runtime {
		return lifecycle.Runtime{Containers: []cri.Container{{ID: "c0", Name: "c"}, {ID: "c1", Name: "c", Attempt: 1, State: state}}}
	}
	running, dead := of(cri.ContainerRunning), of(cri.ContainerExited)
	for name, tt := range map[string]struct {
		s     Snapshot
		want  onupdate.Container
		known bool
	}{
		"taken over, not looked at": {s: Snapshot{Runtime: running, unseen: true}},
		"being started":             {s: Snapshot{Runtime: running, starting: map[string]bool{"c": true}}},
		"another is being started":  {s: Snapshot{Runtime: running, starting: map[string]bool{"d": true}}, want: onupdate.Container{ID: "c1", Running: true, Why: "ContainerCreating"}, known: true},
		"none":                      {s: Snapshot{Status: waiting(status.ErrImagePull)}, want: onupdate.Container{Why: "image can't be pulled"}, known: true},
		"settled":                   {s: Snapshot{Runtime: running, settles: map[string]time.Time{"c": now}}, want: onupdate.Container{ID: "c1", Running: true, Why: "ContainerCreating"}, known: true},
		"not settled":               {s: Snapshot{Runtime: running, settles: map[string]time.Time{"c": now.Add(1)}}, want: onupdate.Container{ID: "c1", Running: true, Why: "ContainerCreating", Crashing: true}, known: true},
		"backs off":                 {s: Snapshot{Runtime: dead, Status: waiting(status.CrashLoopBackOff)}, want: onupdate.Container{ID: "c1", Why: "CrashLoopBackOff", Crashing: true}, known: true},
		"has ended":                 {s: Snapshot{Runtime: dead, Status: &corev1.PodStatus{}}, want: onupdate.Container{ID: "c1", Why: "ContainerCreating"}, known: true},
	} {
		if got, known := tt.s.ForUpdates("c", now); got != tt.want || known != tt.known {
			t.Errorf("%s: %+v, known %t; want %+v", name, got, known, tt.want)
		}
	}
}

func TestReportedHasTheNewestStatus(t *testing.T) {
	pod := newPod(corev1.RestartPolicyAlways)
	s := &Snapshot{Pod: pod}
	if got := s.Reported(); got.Status.Phase != corev1.PodPending {
		t.Errorf("phase %s", got.Status.Phase)
	}
	s.Status = &corev1.PodStatus{Phase: corev1.PodRunning}
	if got := s.Reported(); got.Status.Phase != corev1.PodRunning || pod.Status.Phase != corev1.PodPending {
		t.Errorf("phase %s, of the pod itself %s", got.Status.Phase, pod.Status.Phase)
	}
}

// TestUpdatesInterrupt wants the waiting of a step ended when the pod is to be deleted, or
// sooner than it was to be, and by nothing else.
func TestUpdatesInterrupt(t *testing.T) {
	pod := newPod(corev1.RestartPolicyAlways)
	labelled := pod.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	ending := deleted(pod)
	sooner := ending.DeepCopy()
	sooner.DeletionGracePeriodSeconds = new(int64(60))
	for name, tt := range map[string]struct {
		before, after     *corev1.Pod
		interrupts, pokes bool
	}{
		"the same":          {pod, pod.DeepCopy(), false, false},
		"a label":           {pod, labelled, false, true},
		"a deletion":        {pod, ending, true, false},
		"the same deletion": {ending, ending.DeepCopy(), false, false},
		"another grace":     {sooner, ending, true, false},
	} {
		b := newBoard("then", tt.before, resizes{}.View)
		interrupted := false
		b.begin(func() { interrupted = true })
		seen := b.update(tt.after)
		if interrupted != tt.interrupts || b.poked != tt.pokes {
			t.Errorf("%s: interrupted %t, poked %t", name, interrupted, b.poked)
		}
		if seen.Annotations[runspec.AnnotationSeen] != "then" || seen.Annotations[runspec.AnnotationSource] != "api" || tt.after.Annotations != nil {
			t.Errorf("%s: annotations %v", name, seen.Annotations)
		}
	}
	b := newBoard("", pod, resizes{}.View)
	interrupted := false
	b.begin(func() { interrupted = true })
	if b.remove(pod); !interrupted || !b.snapshot().Gone {
		t.Error("a pod that is gone interrupts nothing")
	}
}

// TestExitsAreLookedFor has an event of an end that the runtime has yet to notice.
func TestExitsAreLookedFor(t *testing.T) {
	b := newBoard("", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}}, resizes{}.View)
	running := lifecycle.Runtime{Containers: []cri.Container{{ID: "c0", State: cri.ContainerRunning}}}
	b.event(cri.Event{ID: "c0", Kind: cri.EventExited})
	for look := range exitLooks {
		if _, dirty, _ := b.begin(nil); !dirty {
			t.Fatalf("look %d: the runtime is not looked at", look)
		}
		if pause := b.looked(running); pause != exitPause {
			t.Fatalf("look %d: the next after %s", look, pause)
		}
	}
	b.begin(nil)
	if pause := b.looked(running); pause != 0 {
		t.Error("a lost end is looked for without end")
	}
	if _, dirty, _ := b.begin(nil); dirty {
		t.Error("a lost end is looked for without end")
	}
	b.event(cri.Event{ID: "c0", Kind: cri.EventExited})
	if pause := b.looked(lifecycle.Runtime{Containers: []cri.Container{{ID: "c0", State: cri.ContainerExited}}}); pause != 0 {
		t.Error("an end that was found is looked for again")
	}
}

// TestProbedOutlastsALookAtTheRuntime has a probe answer while the runtime is read.
func TestProbedOutlastsALookAtTheRuntime(t *testing.T) {
	b := newBoard("", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}}, resizes{}.View)
	read := b.snapshot().Runtime
	b.probed("c", &lifecycle.Probed{Started: true})
	b.looked(read)
	if got := b.snapshot().Runtime.Probed; !got["c"].Started {
		t.Errorf("after a look: %v", got)
	}
	before := b.snapshot()
	b.probed("c", nil)
	if got := b.snapshot().Runtime.Probed; len(got) != 0 || len(before.Runtime.Probed) != 1 {
		t.Errorf("forgotten: %v, in an older snapshot: %v", got, before.Runtime.Probed)
	}
}
