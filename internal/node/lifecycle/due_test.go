package lifecycle

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

func TestDue(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	start := Start{Container: Container{Main, &corev1.Container{Name: "a"}}}
	crashed := Memory{Restart: Backoff{Delay: 20 * time.Second, last: now.Add(-time.Minute)}}
	failed := Memory{Retry: Retry{Until: now.Add(3 * time.Second)}}
	both := Memory{Restart: crashed.Restart, Retry: Retry{Until: now.Add(30 * time.Second)}}
	dead := &Runtime{Containers: []cri.Container{{ID: "c", Name: "a", State: cri.ContainerExited}}, Ended: map[string]time.Time{"c": now.Add(-5 * time.Second)}}
	made := &Runtime{Containers: []cri.Container{{ID: "c", Name: "a"}}}
	for name, tt := range map[string]struct {
		memory  Memory
		r       *Runtime
		replace Replace
		left    time.Duration
		crashed bool
	}{
		"new":                    {r: &Runtime{}},
		"first restart":          {r: dead},
		"in its back-off":        {memory: crashed, r: dead, left: 15 * time.Second, crashed: true},
		"to be replaced":         {memory: crashed, r: dead, replace: Replace{"a": "c"}},
		"another to be replaced": {memory: crashed, r: dead, replace: Replace{"a": "d"}, left: 15 * time.Second, crashed: true},
		"never started":          {memory: crashed, r: made},
		"failed before":          {memory: failed, r: &Runtime{}, left: 3 * time.Second},
		"failed, to be replaced": {memory: failed, r: dead, replace: Replace{"a": "c"}, left: 3 * time.Second},
		"both, the longer":       {memory: both, r: dead, left: 30 * time.Second, crashed: true},
		"its pause is over":      {memory: Memory{Retry: Retry{Until: now.Add(-time.Second)}}, r: &Runtime{}},
	} {
		w := Due(start, tt.memory, tt.r, tt.replace, now)
		if w.Left != tt.left || (w.Crashed != nil) != tt.crashed {
			t.Errorf("%s: %+v, want %s, after a crash %t", name, w, tt.left, tt.crashed)
		}
	}
}

func TestRemember(t *testing.T) {
	made := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &corev1.Container{Name: "a", Image: "i"}
	hash := Hash(c)
	onClock := func(at time.Time) time.Time { return at.Add(time.Hour) }
	newest := func(hash string) *cri.Container {
		return &cri.Container{Name: "a", Attempt: 2, CreatedAt: made, Annotations: map[string]string{AnnotationHash: hash}}
	}
	known := Memory{Hash: hash, Restart: Backoff{Delay: time.Minute}, Retry: Retry{Delay: time.Second}}
	other := known
	other.Hash = "other"
	restored := Backoff{Delay: 20 * time.Second, last: made.Add(time.Hour)}
	for name, tt := range map[string]struct {
		before Memory
		newest *cri.Container
		want   Memory
		anew   bool
	}{
		"first sight":           {want: Memory{Hash: hash}, anew: true},
		"after another agent":   {newest: newest(hash), want: Memory{Hash: hash, Restart: restored}, anew: true},
		"the same":              {before: known, newest: newest(hash), want: known},
		"its spec has changed":  {before: other, newest: newest("other"), want: Memory{Hash: hash}, anew: true},
		"and was changed back":  {before: other, newest: newest(hash), want: Memory{Hash: hash, Restart: restored}, anew: true},
		"known, and none there": {before: known, want: known},
	} {
		if got, anew := tt.before.Remember(c, tt.newest, onClock); got != tt.want || anew != tt.anew {
			t.Errorf("%s: %+v, anew %t; want %+v", name, got, anew, tt.want)
		}
	}
}
