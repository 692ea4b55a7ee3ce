package inventory

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/runtime/cri"
)

// listed is a runtime that has these and tells of these events.
type listed struct {
	sandboxes  []cri.Sandbox
	containers []cri.Container
	events     []cri.Event
	filters    []cri.Filter
	err        error
}

func (l *listed) ListSandboxes(_ context.Context, f cri.Filter) ([]cri.Sandbox, error) {
	l.filters = append(l.filters, f)
	return l.sandboxes, l.err
}

func (l *listed) ListContainers(context.Context, cri.Filter) ([]cri.Container, error) {
	return l.containers, l.err
}

func (l *listed) Events(_ context.Context, deliver func(cri.Event)) error {
	for _, e := range l.events {
		deliver(e)
	}
	return cri.ErrNotOffered
}

func inventoryOf(l *listed) *Inventory {
	return New(Config{Client: l, Instance: "i", Wall: clock.WallOf(clocktesting.NewFakeClock(time.Unix(0, 0))), Log: slog.New(slog.DiscardHandler)})
}

func marks(uid, name string) map[string]string {
	return map[string]string{runspec.LabelPodUID: uid, runspec.LabelPodName: name, runspec.LabelPodNamespace: "default"}
}

// TestLookTellsWhatChanged looks again and again at a runtime that changes.
func TestLookTellsWhatChanged(t *testing.T) {
	l := &listed{}
	v := inventoryOf(l)
	look := func(what string, want ...types.UID) map[types.UID]Pod {
		t.Helper()
		changed, err := v.Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(changed)); !slices.Equal(got, want) {
			t.Errorf("%s: changed %v, want %v", what, got, want)
		}
		return changed
	}
	look("nothing there")
	l.sandboxes = []cri.Sandbox{
		{ID: "s1", Labels: marks("u1", "p1"), Annotations: map[string]string{runspec.AnnotationSeen: "then"}},
		{ID: "s2", Labels: marks("u2", "p2")},
	}
	l.containers = []cri.Container{{ID: "c1", State: cri.ContainerRunning, Labels: marks("u1", "p1")}}
	changed := look("two pods", "u1", "u2")
	if p := changed["u1"]; p.Name != "p1" || p.Namespace != "default" || p.Seen != "then" {
		t.Errorf("pod %+v", p)
	}
	look("the same")
	l.containers[0].State = cri.ContainerExited
	look("a container ended", "u1")
	l.sandboxes[1].State = cri.SandboxNotReady
	look("a sandbox ended", "u2")
	l.sandboxes = l.sandboxes[:1]
	if p := look("a pod has nothing left", "u2")["u2"]; p.Name != "" {
		t.Errorf("pod %+v", p)
	}
	if f := l.filters[0]; !maps.Equal(f.Labels, map[string]string{runspec.LabelInstance: "i"}) {
		t.Errorf("looked with %v", f.Labels)
	}
	l.err = errors.New("away")
	if _, err := v.Look(t.Context()); err == nil {
		t.Error("no error of a runtime that does not answer")
	}
}

// TestEventsFindTheirPod has events about what was made since the last look, what was
// seen then, what was removed, and what is not ours.
func TestEventsFindTheirPod(t *testing.T) {
	l := &listed{sandboxes: []cri.Sandbox{{ID: "seen", Labels: marks("u1", "p1")}}}
	v := inventoryOf(l)
	v.Own("made", "u2")
	v.Own("removed", "u3")
	if _, err := v.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.Disown("removed")
	for _, id := range []string{"seen", "made", "removed", "foreign"} {
		l.events = append(l.events, cri.Event{ID: id})
	}
	var told []string
	v.Follow(t.Context(), func(uid types.UID, e cri.Event) { told = append(told, string(uid)+" "+e.ID) })
	if !slices.Equal(told, []string{"u1 seen", "u2 made"}) {
		t.Errorf("told of %v", told)
	}
	if f := v.Of("u1"); !maps.Equal(f.Labels, map[string]string{runspec.LabelInstance: "i", runspec.LabelPodUID: "u1"}) {
		t.Errorf("what a pod has is selected by %v", f.Labels)
	}
}
