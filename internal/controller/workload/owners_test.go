package workload

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

func TestWhoIsLookedAt(t *testing.T) {
	var looked []string
	parents := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	web, empty, elsewhere := parent(), parent(), parent()
	web.Spec.Selector = map[string]string{"app": "web"}
	empty.Name, elsewhere.Namespace, elsewhere.Spec.Selector = "empty", "n2", web.Spec.Selector
	for _, p := range []*corev1.ReplicationController{web, empty, elsewhere} {
		if err := parents.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	o := Owners[*corev1.ReplicationController]{
		Kind: kind.Kind, Parents: parents, Look: func(key string) { looked = append(looked, key) },
		Selector: func(c *corev1.ReplicationController) *metav1.LabelSelector {
			return &metav1.LabelSelector{MatchLabels: c.Spec.Selector}
		},
	}
	mine := func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: kind.Kind, Name: "web", UID: "u", Controller: new(true)}}
	}
	earlier := func(p *corev1.Pod) { mine(p); p.OwnerReferences[0].UID = "v" }
	other := func(p *corev1.Pod) { mine(p); p.OwnerReferences[0].Kind = "Job" }
	h, changes := o.Handler(), o.ChangesHandler()
	for name, tc := range map[string]struct {
		happens func()
		want    string
	}{
		"own":                      {func() { h.OnAdd(pod("a", mine), false) }, "ns/web"},
		"own, made by its owner":   {func() { changes.OnAdd(pod("a", mine), false) }, ""},
		"of an earlier one":        {func() { h.OnAdd(pod("a", earlier), false) }, ""},
		"of another kind":          {func() { h.OnAdd(pod("a", other), false) }, ""},
		"orphan":                   {func() { h.OnAdd(pod("a"), false) }, "ns/web"},
		"orphan revision":          {func() { changes.OnAdd(pod("a"), false) }, "ns/web"},
		"orphan as it was":         {func() { h.OnUpdate(pod("a"), pod("a")) }, ""},
		"orphan with new labels":   {func() { h.OnUpdate(pod("a", strange), pod("a")) }, "ns/web"},
		"orphan of nobody":         {func() { h.OnAdd(pod("a", strange), false) }, ""},
		"taken away":               {func() { h.OnUpdate(pod("a", mine), pod("a", other)) }, "ns/web"},
		"changed":                  {func() { changes.OnUpdate(pod("a", mine), pod("a", mine)) }, "ns/web"},
		"deleted":                  {func() { h.OnDelete(pod("a", mine)) }, "ns/web"},
		"deleted, not seen":        {func() { h.OnDelete(cache.DeletedFinalStateUnknown{Obj: pod("a", mine)}) }, "ns/web"},
		"an earlier one's is gone": {func() { h.OnDelete(pod("a", earlier)) }, "ns/web"},
		"an orphan was deleted":    {func() { h.OnDelete(pod("a")) }, ""},
		"something that is no pod": {func() { h.OnAdd("x", false); h.OnDelete("x") }, ""},
	} {
		looked = nil
		tc.happens()
		if got := strings.Join(looked, " "); got != tc.want {
			t.Errorf("%s: looked at %q, want %q", name, got, tc.want)
		}
	}
	for name, tc := range map[string]struct {
		pod       *corev1.Pod
		namespace string
		want      bool
	}{
		"there":                {pod("a", mine), "ns", true},
		"an earlier one":       {pod("a", earlier), "ns", false},
		"of another kind":      {pod("a", other), "ns", false},
		"of another namespace": {pod("a", mine), "n3", false},
	} {
		if got := o.Has(metav1.GetControllerOf(tc.pod), tc.namespace); got != tc.want {
			t.Errorf("a parent %s: found is %v", name, got)
		}
	}
}
