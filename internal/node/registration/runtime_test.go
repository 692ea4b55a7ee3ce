package registration

import (
	"context"
	"errors"
	"slices"
	"testing"

	"laterna.dev/laterna/internal/runtime/cri"
)

// answering is a runtime that answers so.
type answering struct {
	conditions []cri.Condition
	features   *cri.Features
	handlers   []cri.Handler
	images     []cri.Image
	err        error
}

func (a answering) Status(context.Context) (cri.Status, error) {
	return cri.Status{Conditions: a.conditions, Features: a.features, Handlers: a.handlers}, a.err
}
func (a answering) ListImages(context.Context) ([]cri.Image, error) { return a.images, a.err }

func TestAsk(t *testing.T) {
	ready := cri.Condition{Type: cri.RuntimeReady, Status: true}
	for name, tt := range map[string]struct {
		r    answering
		want []string
	}{
		"ready":           {r: answering{conditions: []cri.Condition{ready, {Type: cri.NetworkReady, Status: true}}}},
		"no network":      {r: answering{conditions: []cri.Condition{ready, {Type: cri.NetworkReady, Reason: "R", Message: "m"}}}, want: []string{"container runtime network not ready: NetworkReady=false reason:R message:m"}},
		"itself":          {r: answering{conditions: []cri.Condition{{Type: cri.RuntimeReady, Reason: "R", Message: "m"}}}, want: []string{"container runtime not ready: RuntimeReady=false reason:R message:m"}},
		"its own affair":  {r: answering{conditions: []cri.Condition{ready, {Type: "Other"}}}},
		"does not answer": {r: answering{err: errors.New("away")}, want: []string{"container runtime is down"}},
	} {
		got := Ask(t.Context(), tt.r, cri.Version{Name: "containerd", Version: "1.6.20"})
		if got.Version != "containerd://1.6.20" || !slices.Equal(got.NotReady, tt.want) {
			t.Errorf("%s: %+v, want %q", name, got, tt.want)
		}
	}
}

// TestNodeTellsWhetherTheRuntimeKnowsStrictGroups, as status.features; nothing while the
// runtime does not answer.
func TestNodeTellsWhetherTheRuntimeKnowsStrictGroups(t *testing.T) {
	for _, strict := range []bool{true, false} {
		got := Ask(t.Context(), answering{features: &cri.Features{StrictGroups: strict}}, cri.Version{}).Features
		if got == nil || got.SupplementalGroupsPolicy == nil || *got.SupplementalGroupsPolicy != strict {
			t.Errorf("%v: %+v", strict, got)
		}
	}
	if got := Ask(t.Context(), answering{err: errors.New("away")}, cri.Version{}); got.Features != nil || got.Answers {
		t.Errorf("no answer: %+v", got)
	}
	if got := Ask(t.Context(), answering{}, cri.Version{}); got.Features != nil || got.Handlers != nil || !got.Answers {
		t.Errorf("a runtime that does not tell: %+v", got)
	}
}

// TestNodeTellsOfTheHandlersOfTheRuntime, always in the same order.
func TestNodeTellsOfTheHandlersOfTheRuntime(t *testing.T) {
	got := Ask(t.Context(), answering{handlers: []cri.Handler{{Name: "runc", RecursiveReadOnly: true}, {UserNamespaces: true}}}, cri.Version{}).Handlers
	if len(got) != 2 || got[0].Name != "" || *got[0].Features.RecursiveReadOnlyMounts || !*got[0].Features.UserNamespaces ||
		got[1].Name != "runc" || !*got[1].Features.RecursiveReadOnlyMounts || *got[1].Features.UserNamespaces {
		t.Errorf("handlers %+v", got)
	}
}

func TestListImages(t *testing.T) {
	got, err := ListImages(t.Context(), answering{images: []cri.Image{
		{ID: "a", Tags: []string{"small"}, Size: 1}, {ID: "d", Size: 9}, {ID: "c", Tags: []string{"big2"}, Digests: []string{"big2@sha256:0"}, Size: 5}, {ID: "b", Tags: []string{"big1"}, Size: 5},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range got {
		names = append(names, i.Names...)
	}
	if !slices.Equal(names, []string{"big1", "big2@sha256:0", "big2", "small"}) {
		t.Errorf("images %q", names)
	}
	if _, err := ListImages(t.Context(), answering{err: errors.New("away")}); err == nil {
		t.Error("no error of a runtime that does not answer")
	}
}
