package deployment

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// deployment is one with defaults, set after change has changed it.
func deployment(change ...func(*appsv1.DeploymentSpec)) *appsv1.Deployment {
	web := map[string]string{"app": "web"}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: web},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: web}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}}},
		},
	}
	for _, f := range change {
		f(&d.Spec)
	}
	Definition().Default(d)
	return d
}

func rolling(down, up intstr.IntOrString) func(*appsv1.DeploymentSpec) {
	return func(s *appsv1.DeploymentSpec) {
		s.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: &down, MaxSurge: &up}
	}
}

func TestDefaults(t *testing.T) {
	s := deployment().Spec
	if *s.Replicas != 1 || *s.RevisionHistoryLimit != 10 || *s.ProgressDeadlineSeconds != 600 || s.Strategy.Type != "RollingUpdate" ||
		s.Strategy.RollingUpdate.MaxSurge.StrVal != "25%" || s.Strategy.RollingUpdate.MaxUnavailable.StrVal != "25%" || s.Template.Spec.DNSPolicy != corev1.DNSClusterFirst {
		t.Errorf("%+v", s)
	}
	s = deployment(func(s *appsv1.DeploymentSpec) { s.Strategy.Type = "Recreate" }).Spec
	if s.Strategy.RollingUpdate != nil {
		t.Errorf("%+v", s.Strategy)
	}
}

func TestDeploymentsThatAreRefused(t *testing.T) {
	number, text := intstr.FromInt32, intstr.FromString
	for name, tc := range map[string]struct {
		d    *appsv1.Deployment
		want string
	}{
		"good":       {deployment(), ""},
		"numbers":    {deployment(rolling(number(0), number(1))), ""},
		"all of it":  {deployment(rolling(text("100%"), text("200%"))), ""},
		"no room":    {deployment(rolling(number(0), text("0%"))), "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"},
		"too much":   {deployment(rolling(text("101%"), number(1))), `spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%`},
		"less":       {deployment(rolling(number(1), number(-1))), "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0"},
		"no percent": {deployment(rolling(text("many"), number(1))), `spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "many": a valid percent string must be`},
		"recreate and rolling": {deployment(rolling(number(1), number(1)), func(s *appsv1.DeploymentSpec) { s.Strategy.Type = "Recreate" }),
			"spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"},
		"an odd strategy": {deployment(func(s *appsv1.DeploymentSpec) { s.Strategy.Type = "Sometimes" }),
			`spec.strategy: Unsupported value: {"Type":"Sometimes","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"`},
		"no deadline": {deployment(func(s *appsv1.DeploymentSpec) { s.MinReadySeconds, s.ProgressDeadlineSeconds = 60, new(int32(60)) }),
			"spec.progressDeadlineSeconds: Invalid value: 60: must be greater than minReadySeconds"},
		"less history": {deployment(func(s *appsv1.DeploymentSpec) { s.RevisionHistoryLimit = new(int32(-1)) }), "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"},
		"less pods":    {deployment(func(s *appsv1.DeploymentSpec) { s.Replicas = new(int32(-1)) }), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
		"no selector":  {deployment(func(s *appsv1.DeploymentSpec) { s.Selector = nil }), "spec.selector: Required value"},
	} {
		if errs := Definition().Rules.Validate(t.Context(), tc.d); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%s: %v, want %s", name, errs, tc.want)
		}
	}
	other := deployment(func(s *appsv1.DeploymentSpec) {
		s.Selector.MatchLabels, s.Template.Labels = map[string]string{"x": "y"}, map[string]string{"x": "y"}
	})
	if errs := fmt.Sprint(Definition().Rules.ValidateUpdate(t.Context(), other, deployment())); !strings.Contains(errs, "field is immutable") {
		t.Errorf("another selector: %s", errs)
	}
}

func TestGenerationFollowsSpecAndAnnotations(t *testing.T) {
	d := Definition()
	old := deployment()
	d.Rules.PrepareCreate(t.Context(), old)
	for name, tc := range map[string]struct {
		change func(*appsv1.Deployment)
		want   int64
	}{
		"nothing":    {func(*appsv1.Deployment) {}, 1},
		"label":      {func(d *appsv1.Deployment) { d.Labels = map[string]string{"a": "b"} }, 1},
		"status":     {func(d *appsv1.Deployment) { d.Status.Replicas = 3 }, 1},
		"annotation": {func(d *appsv1.Deployment) { d.Annotations = map[string]string{"a": "b"} }, 2},
		"spec":       {func(d *appsv1.Deployment) { d.Spec.Paused = true }, 2},
	} {
		now := old.DeepCopy()
		tc.change(now)
		d.Rules.PrepareUpdate(t.Context(), now, old)
		if now.Generation != tc.want || now.Status.Replicas != 0 {
			t.Errorf("%s: generation %d, status %+v", name, now.Generation, now.Status)
		}
	}
}

func TestStatusTakesAnnotationsAndNoSpec(t *testing.T) {
	d := Definition()
	old := deployment()
	old.Status.CollisionCount = ptr.To[int32](2)
	now := old.DeepCopy()
	now.Annotations, now.Labels = map[string]string{"deployment.kubernetes.io/revision": "1"}, map[string]string{"a": "b"}
	now.Spec.Paused = true
	d.Status.PrepareUpdate(t.Context(), now, old)
	if now.Spec.Paused || now.Labels != nil || now.Annotations == nil {
		t.Errorf("%+v", now)
	}
	if errs := d.Status.ValidateUpdate(t.Context(), now, old); len(errs) > 0 {
		t.Error(errs)
	}
	now.Status = appsv1.DeploymentStatus{CollisionCount: ptr.To[int32](1), UpdatedReplicas: 1}
	errs := fmt.Sprint(d.Status.ValidateUpdate(t.Context(), now, old))
	for _, want := range []string{"status.collisionCount: Invalid value: 1: cannot be decremented", "status.updatedReplicas: Invalid value: 1: cannot be greater than status.replicas"} {
		if !strings.Contains(errs, want) {
			t.Errorf("%s lacks %s", errs, want)
		}
	}
}

func TestWarningsTableAndScale(t *testing.T) {
	def := Definition()
	d := deployment(func(s *appsv1.DeploymentSpec) { s.Template.Spec.TerminationGracePeriodSeconds = new(int64(-1)) })
	d.Name = "web.1"
	if w := def.Rules.WarnCreate(t.Context(), d); len(w) != 2 {
		t.Errorf("at creation: %v", w)
	}
	changed := d.DeepCopy()
	changed.Generation++
	if w, none := def.Rules.WarnUpdate(t.Context(), changed, d), def.Rules.WarnUpdate(t.Context(), d, d); len(w) != 1 || len(none) != 0 {
		t.Errorf("at a change: %v, at none: %v", w, none)
	}
	d.Status = appsv1.DeploymentStatus{Replicas: 4, ReadyReplicas: 1, UpdatedReplicas: 2, AvailableReplicas: 3}
	if row := def.Columns.Row(d); fmt.Sprint(row) != "[web.1 1/1 2 3 <unknown> c i:1 app=web]" || len(row) != len(def.Columns.Columns) {
		t.Errorf("row %v", row)
	}
	def.Scaling.SetReplicas(d, 5)
	if s, err := def.Scaling.Selector(d); def.Scaling.Replicas(d) != 5 || def.Scaling.Has(d) != 4 || s != "app=web" || err != nil {
		t.Errorf("scale %q %v", s, err)
	}
}
