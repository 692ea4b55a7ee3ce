package garbagecollector

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

var (
	things = kind{"v1", "Thing", schema.GroupVersionResource{Version: "v1", Resource: "things"}, true}
	worlds = kind{"v1", "World", schema.GroupVersionResource{Version: "v1", Resource: "worlds"}, false}
)

// thing is an object "namespace/name" whose UID is its name, with owners of its kind;
// "!name" blocks that owner, "world:name" is one without a namespace.
func thing(at string, owners ...string) *metav1.PartialObjectMetadata {
	namespace, name, _ := strings.Cut(at, "/")
	o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name), ResourceVersion: "1"}}
	for _, owner := range owners {
		o.OwnerReferences = append(o.OwnerReferences, ref(owner))
	}
	return o
}

func ref(owner string) metav1.OwnerReference {
	r := metav1.OwnerReference{APIVersion: "v1", Kind: "Thing"}
	if name, ok := strings.CutPrefix(owner, "!"); ok {
		owner, r.BlockOwnerDeletion = name, ptr.To(true)
	}
	if name, ok := strings.CutPrefix(owner, "world:"); ok {
		owner, r.Kind = name, "World"
	}
	r.Name, r.UID = owner, types.UID(owner)
	return r
}

// deleted is o as one that is being deleted.
func deleted(o *metav1.PartialObjectMetadata, finalizers ...string) *metav1.PartialObjectMetadata {
	now := metav1.Now()
	o.DeletionTimestamp, o.Finalizers = &now, finalizers
	return o
}

// is compares what is due, in any order and without repetition.
func is(t *testing.T, what string, d due, collect, orphan string) {
	t.Helper()
	got := func(all []types.UID) string {
		words := []string{}
		for _, uid := range all {
			words = append(words, string(uid))
		}
		slices.Sort(words)
		return strings.Join(slices.Compact(words), " ")
	}
	if got(d.collect) != collect || got(d.orphan) != orphan {
		t.Errorf("%s: collect %q, orphan %q; want %q, %q", what, got(d.collect), got(d.orphan), collect, orphan)
	}
}

func TestGraphFollowsOwners(t *testing.T) {
	g := newGraph()
	is(t, "an object alone", g.observe(things, thing("ns/a")), "", "")
	is(t, "what it owns", g.observe(things, thing("ns/b", "a")), "", "")
	is(t, "an owner that nobody saw", g.observe(things, thing("ns/c", "b", "x")), "x", "")
	is(t, "the same again", g.observe(things, thing("ns/c", "b", "x")), "", "")
	is(t, "that owner comes", g.observe(things, thing("ns/x")), "", "")
	is(t, "the owner goes", g.remove("a"), "b", "")
	is(t, "once more", g.remove("a"), "", "")
	is(t, "it goes, too", g.remove("b"), "c", "")
	if !g.knownAbsent(identity{"v1", "Thing", "ns", "a", "a"}) || g.knownAbsent(identity{"v1", "Thing", "ns", "x", "x"}) {
		t.Error("absent owners are not remembered")
	}
}

func TestGraphTellsWhoWaits(t *testing.T) {
	g := newGraph()
	g.observe(things, thing("ns/a"))
	g.observe(things, thing("ns/b", "!a"))
	g.observe(things, thing("ns/c", "a"))
	is(t, "an owner begins to wait", g.observe(things, deleted(thing("ns/a"), "foregroundDeletion")), "a b c", "")
	is(t, "and still waits", g.observe(things, deleted(thing("ns/a"), "foregroundDeletion")), "", "")
	if n, idle := g.blocking("a"); n != 1 || len(idle) != 1 {
		t.Errorf("blocked by %d, idle %v", n, idle)
	}
	is(t, "what blocks is deleted", g.observe(things, deleted(thing("ns/b", "!a"), "example.com/x")), "", "")
	if n, idle := g.blocking("a"); n != 1 || len(idle) != 0 {
		t.Errorf("blocked by %d, idle %v", n, idle)
	}
	is(t, "it no longer blocks", g.observe(things, deleted(thing("ns/b", "a"), "example.com/x")), "a", "")
	is(t, "another goes", g.remove("c"), "a", "")
	is(t, "an orphanage", g.observe(things, deleted(thing("ns/o"), "orphan", "foregroundDeletion")), "", "o")
	g.observe(things, thing("ns/p", "!q"))
	g.observe(things, thing("ns/q"))
	is(t, "an owner is released", g.observe(things, thing("ns/p")), "q", "")
}

func TestGraphDoubtsReferences(t *testing.T) {
	g := newGraph()
	g.observe(things, thing("ns/a"))
	is(t, "from another namespace", g.observe(things, thing("other/b", "a")), "b", "")
	if v, ok := g.look("b"); !ok || len(v.foreign) != 1 {
		t.Errorf("%+v", v)
	}
	is(t, "as another kind", g.observe(things, thing("ns/c", "world:a")), "c", "")
	g.observe(worlds, thing("/w"))
	is(t, "of a cluster's object", g.observe(things, thing("ns/d", "world:w")), "", "")
	// A child is seen before its owner, which turns out to be somewhere else.
	is(t, "first the child", g.observe(things, thing("other/e", "late")), "late", "")
	is(t, "then the owner", g.observe(things, thing("ns/late")), "e", "")
	// A cluster's object names what others name in their namespace, too.
	is(t, "of a cluster", g.observe(worlds, thing("/v", "f")), "f", "")
	is(t, "of a namespace", g.observe(things, thing("ns/g", "f")), "g", "")
}

// TestGraphTriesWhatElseAUIDMayMean: two objects disagree about where their owner is.
func TestGraphTriesWhatElseAUIDMayMean(t *testing.T) {
	g := newGraph()
	g.observe(things, thing("one/a", "x"))
	g.observe(things, thing("two/b", "x"))
	first := identity{"v1", "Thing", "one", "x", "x"}
	if v, _ := g.look("x"); v.identity != first || !v.virtual {
		t.Fatalf("%+v", v)
	}
	pause := func(d due) time.Duration { return d.later["x"] }
	d := g.missing(first)
	is(t, "the first is not there", d, "a", "")
	if pause(d) != firstAlternative {
		t.Errorf("the second is looked for after %v", d.later)
	}
	second := identity{"v1", "Thing", "two", "x", "x"}
	if v, _ := g.look("x"); v.identity != second {
		t.Fatalf("%+v", v)
	}
	is(t, "another time", g.missing(first), "a", "")
	if d = g.missing(second); pause(d) != 2*firstAlternative {
		t.Errorf("the first is looked for again after %v", d.later)
	}
	for range 100 {
		v, _ := g.look("x")
		d = g.missing(v.identity)
	}
	if pause(d) != lastAlternative {
		t.Errorf("after a hundred times the pause is %v", d.later)
	}
	if v, _ := g.look("x"); v.identity != second {
		g.missing(first)
	}
	g.remove("a")
	is(t, "nor is the second", g.missing(second), "b", "")
	if _, ok := g.look("x"); ok {
		t.Error("it is still there")
	}
}

// TestGraphTakesManyReferences has an object whose references are as many as a request may
// hold, twice over: they are looked at once each.
func TestGraphTakesManyReferences(t *testing.T) {
	g, o := newGraph(), thing("ns/a")
	for i := range 20_000 {
		r := ref("!x")
		r.UID = types.UID(fmt.Sprint(i))
		o.OwnerReferences = append(o.OwnerReferences, r)
	}
	for range 10 {
		g.observe(things, o)
		g.observe(things, thing("ns/a"))
	}
	if len(g.nodes) != 1 {
		t.Errorf("%d nodes are left", len(g.nodes))
	}
}

func TestGraphForgetsWhatNobodyRefersTo(t *testing.T) {
	g := newGraph()
	g.observe(things, thing("ns/a", "x"))
	g.park("x")
	g.park("nobody")
	is(t, "parked", g.unpark(), "x", "")
	g.park("x")
	is(t, "its child goes", g.remove("a"), "", "")
	is(t, "nothing is parked", g.unpark(), "", "")
	if len(g.nodes) > 0 {
		t.Errorf("left: %v", g.nodes)
	}
}

func TestGraphIsReplaced(t *testing.T) {
	g := newGraph()
	g.observe(worlds, thing("/w"))
	g.observe(things, thing("ns/a"))
	g.observe(things, thing("ns/b", "a"))
	is(t, "a new list", g.replace(things, []metav1.Object{thing("ns/b", "a"), deleted(thing("ns/c"), "orphan")}), "b", "c")
	if len(g.nodes) != 3 {
		t.Errorf("nodes %v", g.nodes)
	}
}

func TestAlternativesGoRound(t *testing.T) {
	at := func(namespace, name string, refs ...string) *node {
		n := &node{identity: identity{namespace: namespace, name: name}}
		for _, r := range refs {
			n.owners = append(n.owners, ref(r))
			n.owners[len(n.owners)-1].UID = "u"
		}
		return n
	}
	all := []*node{at("b", "1", "x"), at("c", "2", "x"), at("a", "3", "world:y", "x")}
	now := identity{"v1", "Thing", "b", "x", "u"}
	var got []string
	for range 4 {
		next, ok := alternative(all, now)
		if !ok {
			t.Fatal("none")
		}
		got = append(got, next.kind+" "+next.namespace)
		now = next
	}
	if want := "Thing c,World a,Thing a,Thing b"; strings.Join(got, ",") != want {
		t.Errorf("%s, want %s", strings.Join(got, ","), want)
	}
	if _, ok := alternative(all[:1], identity{"v1", "Thing", "b", "x", "u"}); ok {
		t.Error("there is an alternative to the only one")
	}
	if next, ok := alternative(all[2:], identity{"v1", "World", "", "z", "u"}); !ok || next.namespace != "a" || next.kind != "Thing" {
		t.Errorf("%v", next)
	}
}

func TestDecide(t *testing.T) {
	refs := func(names ...string) (all []metav1.OwnerReference) {
		for _, n := range names {
			all = append(all, ref(n))
		}
		return all
	}
	for name, tc := range map[string]struct {
		refs       references
		view       view
		finalizers []string
		want       string
	}{
		"a solid owner":              {refs: references{solid: refs("s")}, want: ""},
		"solid, dangling, waiting":   {refs: references{refs("s"), refs("d"), refs("w")}, want: "release d w"},
		"dangling":                   {refs: references{dangling: refs("d")}, want: "Background"},
		"waiting":                    {refs: references{waiting: refs("w")}, want: "Background"},
		"waiting, and owns":          {refs: references{waiting: refs("w"), dangling: refs("d")}, view: view{owns: true}, want: "Foreground"},
		"a circle":                   {refs: references{waiting: refs("w")}, view: view{owns: true, circular: true}, want: "unblock Foreground"},
		"dangling, and owns":         {refs: references{dangling: refs("d")}, view: view{owns: true}, want: "Background"},
		"dangling, an orphanage":     {refs: references{dangling: refs("d")}, finalizers: []string{"x", "orphan"}, want: "Orphan"},
		"dangling, in foreground":    {refs: references{dangling: refs("d")}, finalizers: []string{"foregroundDeletion"}, want: "Foreground"},
		"waiting, an orphanage":      {refs: references{waiting: refs("w")}, finalizers: []string{"orphan"}, want: "Orphan"},
		"waiting, orphanage of some": {refs: references{waiting: refs("w")}, view: view{owns: true}, finalizers: []string{"orphan"}, want: "Foreground"},
	} {
		got := decide(tc.refs, tc.view, tc.finalizers)
		words := []string{}
		if len(got.release) > 0 {
			words = append(words, "release")
		}
		for _, uid := range got.release {
			words = append(words, string(uid))
		}
		if got.unblock {
			words = append(words, "unblock")
		}
		if got.policy != "" {
			words = append(words, string(got.policy))
		}
		if s := strings.Join(words, " "); s != tc.want {
			t.Errorf("%s: %q, want %q", name, s, tc.want)
		}
	}
}
