package lifecycle

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

func TestGraceLeft(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	started := &Runtime{Containers: []cri.Container{{Annotations: map[string]string{AnnotationGracePeriod: "90"}}}}
	for name, tt := range map[string]struct {
		spec, deletion *int64
		ends           time.Duration // of the grace period, from now on; 0 is no deletion
		r              *Runtime
		grace, left    time.Duration
	}{
		"nothing said":             {r: &Runtime{}, grace: 30, left: 30},
		"of the spec":              {spec: new(int64(5)), r: started, grace: 5, left: 5},
		"none":                     {spec: new(int64(0)), r: &Runtime{}, grace: 1, left: 1},
		"of the deletion":          {spec: new(int64(5)), deletion: new(int64(60)), ends: 59 * time.Second, r: started, grace: 60, left: 60},
		"begun":                    {spec: new(int64(5)), deletion: new(int64(60)), ends: 20 * time.Second, r: started, grace: 60, left: 21},
		"over":                     {deletion: new(int64(60)), ends: -20 * time.Second, r: started, grace: 60, left: 1},
		"only its containers tell": {r: started, grace: 30, left: 90},
	} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{TerminationGracePeriodSeconds: tt.spec}}
		pod.DeletionGracePeriodSeconds = tt.deletion
		if tt.ends != 0 {
			pod.DeletionTimestamp = &metav1.Time{Time: now.Add(tt.ends)}
		}
		if got := Grace(pod); got != tt.grace*time.Second {
			t.Errorf("%s: grace %s, want %d s", name, got, tt.grace)
		}
		if got := GraceLeft(pod, tt.r, now); got != tt.left*time.Second {
			t.Errorf("%s: %s left, want %d s", name, got, tt.left)
		}
	}
}

func TestActiveLeft(t *testing.T) {
	started := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		seconds *int64
		after   time.Duration
		left    time.Duration
		late    bool
	}{
		"no limit": {after: time.Hour},
		"some":     {seconds: new(int64(60)), after: 20 * time.Second, left: 40 * time.Second},
		"over":     {seconds: new(int64(60)), after: time.Minute, late: true},
		"long ago": {seconds: new(int64(60)), after: time.Hour, late: true},
	} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{ActiveDeadlineSeconds: tt.seconds}}
		if left, late := ActiveLeft(pod, started, started.Add(tt.after)); left != tt.left || late != tt.late {
			t.Errorf("%s: %s left, late %t", name, left, late)
		}
	}
}

func TestFinal(t *testing.T) {
	for phase, want := range map[corev1.PodPhase]bool{
		corev1.PodPending: false, corev1.PodRunning: false, corev1.PodUnknown: false, corev1.PodSucceeded: true, corev1.PodFailed: true,
	} {
		if Final(phase) != want {
			t.Errorf("%s: %t", phase, !want)
		}
	}
}
