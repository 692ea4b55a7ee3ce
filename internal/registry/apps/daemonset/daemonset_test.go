package daemonset

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// set is a right one, with defaults.
func set(change ...func(*appsv1.DaemonSet)) *appsv1.DaemonSet {
	labels := map[string]string{"app": "log"}
	d := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "log", Namespace: "ns"},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}}},
		},
	}
	for _, f := range change {
		f(d)
	}
	setDefaults(d)
	return d
}

func TestDefaults(t *testing.T) {
	s := set().Spec
	r := s.UpdateStrategy.RollingUpdate
	if got := fmt.Sprint(s.UpdateStrategy.Type, " ", r.MaxUnavailable, " ", r.MaxSurge, " ", *s.RevisionHistoryLimit, " ", s.Template.Spec.RestartPolicy); got != "RollingUpdate 1 0 10 Always" {
		t.Error(got)
	}
}

func TestWhatIsWrong(t *testing.T) {
	spec := func(f func(*appsv1.DaemonSetSpec)) *appsv1.DaemonSet {
		return set(func(d *appsv1.DaemonSet) { f(&d.Spec) })
	}
	rolling := func(unavailable, surge intstr.IntOrString) *appsv1.DaemonSet {
		return spec(func(s *appsv1.DaemonSetSpec) {
			s.UpdateStrategy.Type = appsv1.RollingUpdateDaemonSetStrategyType
			s.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateDaemonSet{MaxUnavailable: &unavailable, MaxSurge: &surge}
		})
	}
	n := intstr.FromInt32
	for name, tc := range map[string]struct {
		set  *appsv1.DaemonSet
		want string
	}{
		"right":          {set(), ""},
		"surge":          {rolling(n(0), intstr.FromString("30%")), ""},
		"both":           {rolling(n(1), n(1)), "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"},
		"neither":        {rolling(n(0), intstr.FromString("0%")), "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"},
		"below nothing":  {rolling(n(-1), n(0)), "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: -1: must be greater than or equal to 0"},
		"strategy":       {spec(func(s *appsv1.DaemonSetSpec) { s.UpdateStrategy.Type = "Recreate" }), `spec.updateStrategy: Unsupported value: "Recreate": supported values: "RollingUpdate", "OnDelete"`},
		"on delete":      {spec(func(s *appsv1.DaemonSetSpec) { s.UpdateStrategy.Type = appsv1.OnDeleteDaemonSetStrategyType }), ""},
		"empty selector": {spec(func(s *appsv1.DaemonSetSpec) { s.Selector = &metav1.LabelSelector{} }), "spec.selector: Invalid value: {}: empty selector is invalid for daemonset"},
		"other labels":   {spec(func(s *appsv1.DaemonSetSpec) { s.Template.Labels = nil }), "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`"},
		"restarts":       {spec(func(s *appsv1.DaemonSetSpec) { s.Template.Spec.RestartPolicy = "OnFailure" }), `spec.template.spec.restartPolicy: Unsupported value: "OnFailure": supported values: "Always"`},
		"deadline":       {spec(func(s *appsv1.DaemonSetSpec) { s.Template.Spec.ActiveDeadlineSeconds = new(int64(3)) }), "activeDeadlineSeconds in DaemonSet is not Supported"},
		"template":       {spec(func(s *appsv1.DaemonSetSpec) { s.Template.Spec.Containers = nil }), "spec.template.spec.containers: Required value"},
		"seconds":        {spec(func(s *appsv1.DaemonSetSpec) { s.MinReadySeconds = -1 }), "spec.minReadySeconds: Invalid value: -1"},
		"history":        {spec(func(s *appsv1.DaemonSetSpec) { s.RevisionHistoryLimit = new(int32(-1)) }), "spec.revisionHistoryLimit: Invalid value: -1"},
		"disk": {spec(func(s *appsv1.DaemonSetSpec) {
			s.Template.Spec.Volumes = []corev1.Volume{{Name: "d", VolumeSource: corev1.VolumeSource{GCEPersistentDisk: &corev1.GCEPersistentDiskVolumeSource{PDName: "d"}}}}
		}), "spec.template.spec.volumes[0].gcePersistentDisk.readOnly: Invalid value: false"},
	} {
		errs := validate(tc.set)
		if got := fmt.Sprint(errs.ToAggregate()); (tc.want == "") != (len(errs) == 0) || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestChangesAreCounted(t *testing.T) {
	rules := Definition().Rules
	old := set(func(d *appsv1.DaemonSet) {
		d.Annotations = map[string]string{appsv1.DeprecatedTemplateGeneration: "often"}
	})
	old.Status.NumberReady = 4
	rules.PrepareCreate(t.Context(), old)
	if old.Generation != 1 || old.Annotations[appsv1.DeprecatedTemplateGeneration] != "1" || old.Status.NumberReady != 0 {
		t.Errorf("new: %+v", old)
	}
	for name, tc := range map[string]struct {
		change     func(*appsv1.DaemonSet)
		generation int64
		template   string
	}{
		"annotation": {func(d *appsv1.DaemonSet) { d.Annotations = map[string]string{"a": "b"} }, 1, "1"},
		"spec":       {func(d *appsv1.DaemonSet) { d.Spec.MinReadySeconds = 3 }, 2, "1"},
		"template":   {func(d *appsv1.DaemonSet) { d.Spec.Template.Spec.Containers[0].Image = "i:2" }, 2, "2"},
		"a lie":      {func(d *appsv1.DaemonSet) { d.Annotations[appsv1.DeprecatedTemplateGeneration] = "7" }, 1, "1"},
	} {
		now := old.DeepCopy()
		tc.change(now)
		rules.PrepareUpdate(t.Context(), now, old)
		if got := now.Annotations[appsv1.DeprecatedTemplateGeneration]; now.Generation != tc.generation || got != tc.template {
			t.Errorf("%s: generation %d, of the template %s", name, now.Generation, got)
		}
	}
	other := old.DeepCopy()
	other.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"other": "x"}}
	other.Spec.Template.Labels = map[string]string{"other": "x"}
	if errs := validateUpdate(other, old); len(errs) != 1 || !strings.HasSuffix(errs[0].Error(), "field is immutable") {
		t.Errorf("another selector: %v", errs)
	}
}

func TestStatusAndTable(t *testing.T) {
	old, now := set(), set()
	old.Status.CollisionCount = new(int32(2))
	now.Status.NumberReady = -1
	got := fmt.Sprint(validateStatus(now, old).ToAggregate())
	for _, want := range []string{"status.numberReady: Invalid value: -1", "status.collisionCount: Invalid value: 0: cannot be decremented"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	now.Status = appsv1.DaemonSetStatus{DesiredNumberScheduled: 5, CurrentNumberScheduled: 4, NumberReady: 3, UpdatedNumberScheduled: 2, NumberAvailable: 1}
	columns := Definition().Columns
	if row := columns.Row(now); fmt.Sprint(row) != "[log 5 4 3 2 1 <none> <unknown> c i:1 app=log]" || len(row) != len(columns.Columns) {
		t.Errorf("row %v", row)
	}
}
