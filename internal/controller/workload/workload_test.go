package workload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

var kind = corev1.SchemeGroupVersion.WithKind("ReplicationController")

func parent() *corev1.ReplicationController {
	return &corev1.ReplicationController{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "u"}}
}

func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name), Labels: map[string]string{"app": "web"}}}
	for _, f := range change {
		f(p)
	}
	return p
}

func owned(uid types.UID) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{UID: uid, Controller: new(true)}}
	}
}

func strange(p *corev1.Pod) { p.Labels = map[string]string{"app": "other"} }

func ending(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Now()} }

func TestClaims(t *testing.T) {
	all := []*corev1.Pod{
		pod("mine", owned("u")), pod("released", owned("u"), strange), pod("theirs", owned("other")),
		pod("orphan"), pod("no match", strange), pod("ending", ending), pod("elsewhere", func(p *corev1.Pod) { p.Namespace = "n2" }),
		pod("gone"), pod("mine and ending", owned("u"), ending),
	}
	var patches []string
	looks := 0
	c := Claims[*corev1.Pod]{
		Parent: parent(), Kind: kind, Selector: labels.SelectorFromSet(labels.Set{"app": "web"}),
		Live: func(context.Context) (metav1.Object, error) { looks++; return parent(), nil },
		Patch: func(_ context.Context, p *corev1.Pod, patch []byte) error {
			patches = append(patches, p.Name+" "+string(patch))
			if p.Name == "gone" {
				return apierrors.NewNotFound(corev1.Resource("pods"), p.Name)
			}
			return nil
		},
	}
	mine, err := c.Claim(t.Context(), all)
	if got := names(mine); err != nil || got != "mine, orphan, mine and ending" {
		t.Errorf("claimed %s, %v", got, err)
	}
	want := []string{
		`released {"metadata":{"ownerReferences":[{"$patch":"delete","uid":"u"}],"uid":"released"}}`,
		`orphan {"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ReplicationController","name":"web","uid":"u","controller":true,"blockOwnerDeletion":true}],"uid":"orphan"}}`,
	}
	if len(patches) != 3 || !slices.Equal(patches[:2], want) || looks != 1 {
		t.Errorf("%d looks at the parent; patches\n%s\nwant\n%s", looks, strings.Join(patches, "\n"), strings.Join(want, "\n"))
	}
}

func TestParentThatEndsAdoptsNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		cached, live func(*corev1.ReplicationController)
		want         string
	}{
		"known to end": {cached: func(c *corev1.ReplicationController) { c.DeletionTimestamp = &metav1.Time{} }},
		"ends by now":  {live: func(c *corev1.ReplicationController) { c.DeletionTimestamp = &metav1.Time{} }, want: "can't adopt ns/orphan (orphan): ns/web has just been deleted at "},
		"another":      {live: func(c *corev1.ReplicationController) { c.UID = "v" }, want: "can't adopt ns/orphan (orphan): original ReplicationController ns/web is gone: got uid v, wanted u"},
	} {
		cached, live := parent(), parent()
		if tc.cached != nil {
			tc.cached(cached)
		}
		if tc.live != nil {
			tc.live(live)
		}
		c := Claims[*corev1.Pod]{
			Parent: cached, Kind: kind, Selector: labels.Everything(),
			Live: func(context.Context) (metav1.Object, error) { return live, nil },
			Patch: func(context.Context, *corev1.Pod, []byte) error {
				t.Errorf("%s: patched", name)
				return nil
			},
		}
		mine, err := c.Claim(t.Context(), []*corev1.Pod{pod("orphan")})
		if len(mine) != 0 || (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: claimed %s, %v", name, names(mine), err)
		}
	}
}

func names(all []*corev1.Pod) string {
	var out []string
	for _, p := range all {
		out = append(out, p.Name)
	}
	return strings.Join(out, ", ")
}

func TestSlowStartGrowsAndStops(t *testing.T) {
	for _, tc := range []struct{ count, broken, made, called int }{
		{0, -1, 0, 0}, {1, -1, 1, 1}, {10, -1, 10, 10}, {10, 0, 0, 1}, {10, 4, 6, 7}, {3, 2, 2, 3},
	} {
		var mu sync.Mutex
		called := map[int]bool{}
		made, err := SlowStart(t.Context(), tc.count, func(_ context.Context, i int) error {
			mu.Lock()
			defer mu.Unlock()
			called[i] = true
			if i == tc.broken {
				return errors.New("refused")
			}
			return nil
		})
		if made != tc.made || len(called) != tc.called || (err != nil) != (tc.broken >= 0) {
			t.Errorf("%+v: made %d, called %d, %v", tc, made, len(called), err)
		}
	}
}

// filled is a cache up to a version, with one object.
type filled struct {
	version string
	has     *corev1.Pod
}

func (f *filled) LastStoreSyncResourceVersion() string { return f.version }

func (f *filled) GetByKey(key string) (any, bool, error) {
	if f.has != nil && cache.MetaObjectToName(f.has).String() == key {
		return f.has, true, nil
	}
	return nil, false, nil
}

func TestNobodyDecidesByAnOldCache(t *testing.T) {
	c := &filled{version: "9"}
	w := NewWritten(map[string]Cache{PodsKind: c})
	at := func(version string) *corev1.Pod { return pod("a", func(p *corev1.Pod) { p.ResourceVersion = version }) }
	w.Wrote("u", PodsKind, at("10"))
	w.Wrote("u", PodsKind, at("8"))
	w.Wrote("v", PodsKind, at("3"))
	if err := w.Unseen("u"); err == nil {
		t.Error("version 10 is taken as seen at 9")
	}
	if err := w.Unseen("v"); err != nil {
		t.Error(err)
	}
	c.version = "10"
	if err := w.Unseen("u"); err != nil {
		t.Error(err)
	}
	c.has = pod("a")
	w.Deleted("u", PodsKind, c.has)
	if err := w.Unseen("u"); err == nil {
		t.Error("the cache has not seen the deletion")
	}
	c.has = pod("a", ending)
	if err := w.Unseen("u"); err != nil {
		t.Error(err)
	}
	c.has = pod("a")
	w.Deleted("u", PodsKind, c.has)
	c.has = pod("a", func(p *corev1.Pod) { p.UID = "a later one" })
	if err := w.Unseen("u"); err != nil {
		t.Error(err)
	}
	// The last finalizer of one that is being deleted was taken: the answer has the version
	// from before.
	c.version, c.has = "12", pod("a", ending)
	w.Wrote("u", PodsKind, pod("a", ending, func(p *corev1.Pod) { p.ResourceVersion = "12" }))
	if err := w.Unseen("u"); err == nil {
		t.Error("the cache has not seen that the pod is gone")
	}
	c.has = nil
	if err := w.Unseen("u"); err != nil {
		t.Error(err)
	}
	w.Wrote("u", PodsKind, at("99"))
	w.Forget("u")
	if err := w.Unseen("u"); err != nil {
		t.Error(err)
	}
}

func TestPodOfATemplate(t *testing.T) {
	template := &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"a": "b"}, Finalizers: []string{"x/y"}, Name: "ignored"},
		Spec:       corev1.PodSpec{NodeName: "n"},
	}
	got := FromTemplate(template, parent(), kind)
	got.Labels["more"], got.Finalizers[0] = "1", "changed"
	if fmt.Sprint(template.Labels, template.Finalizers) != "map[app:web] [x/y]" {
		t.Errorf("the template was changed: %v %v", template.Labels, template.Finalizers)
	}
	if got.Name != "" || got.GenerateName != "web-" || got.Namespace != "ns" || got.Spec.NodeName != "n" || got.Annotations["a"] != "b" {
		t.Errorf("pod %+v", got)
	}
	if owner := metav1.GetControllerOf(got); owner == nil || owner.UID != "u" || owner.Kind != kind.Kind || !*owner.BlockOwnerDeletion {
		t.Errorf("owned by %+v", owner)
	}
}

func TestHowPodsCount(t *testing.T) {
	now := time.Now()
	ready := func(ago time.Duration) *corev1.Pod {
		return pod("a", func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-ago))}}
		})
	}
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		min  int32
		left time.Duration
		want bool
	}{
		"not ready":          {pod("a"), 0, 0, false},
		"ready":              {ready(0), 0, 0, true},
		"ready, not yet":     {ready(4 * time.Second), 10, 6 * time.Second, false},
		"ready, long enough": {ready(10 * time.Second), 10, 0, true},
	} {
		if left, ok := Available(tc.pod, tc.min, now); left != tc.left || ok != tc.want {
			t.Errorf("%s: %s, %v", name, left, ok)
		}
	}
	failed := pod("f", ending, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	if Active(failed) || Terminating(failed) || !Terminating(pod("e", ending)) || Active(pod("e", ending)) || !Active(pod("a")) {
		t.Error("pods are counted wrong")
	}
}

func TestWritesForParentsThatAreGoneAreForgotten(t *testing.T) {
	named := func(uid types.UID) *corev1.ReplicationController {
		p := parent()
		p.UID = uid
		return p
	}
	for name, tc := range map[string]struct {
		happens func(h cache.ResourceEventHandlerFuncs)
		left    bool
		changes int
	}{
		"it stays":   {func(h cache.ResourceEventHandlerFuncs) { h.OnAdd(named("u"), true); h.OnUpdate(named("u"), named("u")) }, true, 2},
		"it is gone": {func(h cache.ResourceEventHandlerFuncs) { h.OnDelete(named("u")) }, false, 0},
		"its end was not seen": {func(h cache.ResourceEventHandlerFuncs) {
			h.OnDelete(cache.DeletedFinalStateUnknown{Key: "ns/web", Obj: named("u")})
		}, false, 0},
		"another is in its place": {func(h cache.ResourceEventHandlerFuncs) { h.OnUpdate(named("u"), named("v")) }, false, 1},
		"nonsense":                {func(h cache.ResourceEventHandlerFuncs) { h.OnDelete(1); h.OnUpdate(1, 2) }, true, 1},
	} {
		w := NewWritten(map[string]Cache{PodsKind: cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)})
		w.Deleted("u", PodsKind, pod("a"))
		changes := 0
		tc.happens(w.Parents(func(any) { changes++ }))
		if left := len(w.of) == 1; left != tc.left || changes != tc.changes {
			t.Errorf("%s: left %v, %d changes", name, left, changes)
		}
	}
}
