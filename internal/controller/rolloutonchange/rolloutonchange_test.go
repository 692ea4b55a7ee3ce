package rolloutonchange

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api"
)

func TestStepsOfARolloutAreNoNews(t *testing.T) {
	asks := func(change func(*appsv1.Deployment)) *appsv1.Deployment {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{UID: "u", Generation: 3, Annotations: map[string]string{api.RolloutOnChange: "auto"}}}
		change(d)
		return d
	}
	before := asks(func(*appsv1.Deployment) {})
	for name, tc := range map[string]struct {
		now  any
		want bool
	}{
		"status":     {asks(func(d *appsv1.Deployment) { d.ResourceVersion, d.Status.ReadyReplicas = "9", 4 }), true},
		"revision":   {asks(func(d *appsv1.Deployment) { d.Annotations["deployment.kubernetes.io/revision"] = "2" }), true},
		"template":   {asks(func(d *appsv1.Deployment) { d.Generation++ }), false},
		"request":    {asks(func(d *appsv1.Deployment) { d.Annotations[api.RolloutOnChange] = "secret/s" }), false},
		"none":       {asks(func(d *appsv1.Deployment) { d.Annotations = nil }), false},
		"made anew":  {asks(func(d *appsv1.Deployment) { d.UID = "v" }), false},
		"deleted":    {asks(func(d *appsv1.Deployment) { d.DeletionTimestamp = &metav1.Time{Time: time.Now()} }), false},
		"no object":  {"x", false},
		"other kind": {&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{UID: "w"}}, false},
	} {
		if got := same(before, tc.now); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
