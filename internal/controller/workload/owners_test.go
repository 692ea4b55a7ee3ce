package workload

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
)

func TestWhoIsLookedAt(t *testing.T) {
	var looked []string
	o := Owners{
		Kind: kind.Kind,
		Find: func(namespace, name string) metav1.Object {
			if namespace != "ns" || name != "web" {
				return nil
			}
			return parent()
		},
		Selecting: func(_ string, has labels.Set) []metav1.Object {
			if has["app"] != "web" {
				return nil
			}
			return []metav1.Object{parent()}
		},
		Look: func(key string) { looked = append(looked, key) },
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
}
