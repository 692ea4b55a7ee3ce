package statefulset

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// set is a right one, with defaults.
func set(change ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	labels := map[string]string{"app": "web"}
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns"},
		Spec: appsv1.StatefulSetSpec{
			ServiceName: "web",
			Selector:    &metav1.LabelSelector{MatchLabels: labels},
			Template:    corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}}},
		},
	}
	for _, f := range change {
		f(s)
	}
	setDefaults(s)
	return s
}

func claims(s *appsv1.StatefulSet) {
	s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}}
	s.Spec.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
}

func TestDefaults(t *testing.T) {
	s := set(claims)
	spec := s.Spec
	got := fmt.Sprint(spec.PodManagementPolicy, " ", spec.UpdateStrategy.Type, " ", *spec.UpdateStrategy.RollingUpdate.Partition, " ", spec.UpdateStrategy.RollingUpdate.MaxUnavailable, " ",
		*spec.PersistentVolumeClaimRetentionPolicy, " ", *spec.Replicas, " ", *spec.RevisionHistoryLimit, " ", spec.Template.Spec.RestartPolicy, " ",
		spec.VolumeClaimTemplates[0].Kind, " ", *spec.VolumeClaimTemplates[0].Spec.VolumeMode, " ", spec.VolumeClaimTemplates[0].Status.Phase)
	if want := "OrderedReady RollingUpdate 0 <nil> {Retain Retain} 1 10 Always PersistentVolumeClaim Filesystem Pending"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	bare := set(func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.Type = appsv1.RollingUpdateStatefulSetStrategyType })
	if bare.Spec.UpdateStrategy.RollingUpdate != nil {
		t.Error("a strategy that was named gets numbers that were not")
	}
}

func TestWhatIsWrong(t *testing.T) {
	spec := func(f func(*appsv1.StatefulSetSpec)) *appsv1.StatefulSet {
		return set(func(s *appsv1.StatefulSet) { f(&s.Spec) })
	}
	rolling := func(r appsv1.RollingUpdateStatefulSetStrategy) *appsv1.StatefulSet {
		return spec(func(s *appsv1.StatefulSetSpec) { s.UpdateStrategy.RollingUpdate = &r })
	}
	for name, tc := range map[string]struct {
		set  *appsv1.StatefulSet
		want string
	}{
		"right":          {set(), ""},
		"with claims":    {set(claims), ""},
		"no service":     {spec(func(s *appsv1.StatefulSetSpec) { s.ServiceName = "" }), ""},
		"service's name": {spec(func(s *appsv1.StatefulSetSpec) { s.ServiceName = "a.b" }), `spec.serviceName: Invalid value: "a.b": must not contain dots`},
		"management":     {spec(func(s *appsv1.StatefulSetSpec) { s.PodManagementPolicy = "Random" }), `spec.podManagementPolicy: Invalid value: "Random": must be 'OrderedReady' or 'Parallel'`},
		"strategy":       {spec(func(s *appsv1.StatefulSetSpec) { s.UpdateStrategy.Type = "Canary" }), `must be 'RollingUpdate' or 'OnDelete'`},
		"numbers of nothing": {spec(func(s *appsv1.StatefulSetSpec) {
			s.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{Type: "OnDelete", RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{}}
		}), `only allowed for updateStrategy 'RollingUpdate'`},
		"partition":        {rolling(appsv1.RollingUpdateStatefulSetStrategy{Partition: new(int32(-1))}), "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0"},
		"none unavailable": {rolling(appsv1.RollingUpdateStatefulSetStrategy{MaxUnavailable: new(intstr.FromInt32(0))}), "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0"},
		"over all":         {rolling(appsv1.RollingUpdateStatefulSetStrategy{MaxUnavailable: new(intstr.FromString("120%"))}), `spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "120%": must not be greater than 100%`},
		"replicas":         {spec(func(s *appsv1.StatefulSetSpec) { s.Replicas = new(int32(-1)) }), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
		"ordinals":         {spec(func(s *appsv1.StatefulSetSpec) { s.Ordinals = &appsv1.StatefulSetOrdinals{Start: -1} }), "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0"},
		"retention": {spec(func(s *appsv1.StatefulSetSpec) {
			s.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenScaled: "Keep"}
		}), `spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep": supported values: "Retain", "Delete"`},
		"no selector":        {spec(func(s *appsv1.StatefulSetSpec) { s.Selector = nil }), "spec.selector: Required value"},
		"empty selector":     {spec(func(s *appsv1.StatefulSetSpec) { s.Selector = &metav1.LabelSelector{} }), "spec.selector: Invalid value: {}: empty selector is invalid for statefulset"},
		"other labels":       {spec(func(s *appsv1.StatefulSetSpec) { s.Template.Labels = nil }), "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`"},
		"restarts":           {spec(func(s *appsv1.StatefulSetSpec) { s.Template.Spec.RestartPolicy = "Never" }), `spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"`},
		"deadline":           {spec(func(s *appsv1.StatefulSetSpec) { s.Template.Spec.ActiveDeadlineSeconds = new(int64(3)) }), "activeDeadlineSeconds in StatefulSet is not Supported"},
		"a claim of nothing": {set(claims, func(s *appsv1.StatefulSet) { s.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests = nil }), "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value"},
		"mount of nothing":   {set(claims, func(s *appsv1.StatefulSet) { s.Spec.VolumeClaimTemplates = nil }), `spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"`},
	} {
		errs := validate(tc.set)
		if got := fmt.Sprint(errs.ToAggregate()); (tc.want == "") != (len(errs) == 0) || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestFewFieldsChange(t *testing.T) {
	rules, old := rules(), set()
	old.Generation, old.Status.Replicas = 3, 2
	for name, tc := range map[string]struct {
		change func(*appsv1.StatefulSetSpec)
		errs   int
	}{
		"nothing":   {func(*appsv1.StatefulSetSpec) {}, 0},
		"replicas":  {func(s *appsv1.StatefulSetSpec) { s.Replicas = new(int32(5)) }, 0},
		"template":  {func(s *appsv1.StatefulSetSpec) { s.Template.Spec.Containers[0].Image = "i:2" }, 0},
		"ordinals":  {func(s *appsv1.StatefulSetSpec) { s.Ordinals = &appsv1.StatefulSetOrdinals{Start: 2} }, 0},
		"retention": {func(s *appsv1.StatefulSetSpec) { s.PersistentVolumeClaimRetentionPolicy.WhenScaled = "Delete" }, 0},
		"the rest": {func(s *appsv1.StatefulSetSpec) {
			s.MinReadySeconds, s.RevisionHistoryLimit, s.UpdateStrategy.RollingUpdate.Partition = 3, new(int32(-1)), new(int32(1))
		}, 0},
		"service":    {func(s *appsv1.StatefulSetSpec) { s.ServiceName = "other" }, 1},
		"management": {func(s *appsv1.StatefulSetSpec) { s.PodManagementPolicy = appsv1.ParallelPodManagement }, 1},
	} {
		now := old.DeepCopy()
		now.Status.Replicas = 9
		tc.change(&now.Spec)
		rules.PrepareUpdate(t.Context(), now, old)
		if now.Status.Replicas != 2 || (now.Generation == 4) != (name != "nothing") {
			t.Errorf("%s: generation %d, status %+v", name, now.Generation, now.Status)
		}
		errs := rules.ValidateUpdate(t.Context(), now, old)
		if len(errs) != tc.errs || tc.errs > 0 && !strings.HasPrefix(errs[0].Error(), "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', ") {
			t.Errorf("%s: %v", name, errs)
		}
	}
	// What was stored wrong does not keep the set from being scaled.
	old.Spec.ServiceName, old.Spec.Template.Spec.Containers = "Not_One", nil
	now := old.DeepCopy()
	now.Spec.Replicas = new(int32(0))
	if errs := validateUpdate(now, old); len(errs) > 0 {
		t.Errorf("a set that was stored wrong: %v", errs)
	}
}

func TestStatus(t *testing.T) {
	old, now := set(), set()
	old.Status.CollisionCount = new(int32(2))
	now.Status = appsv1.StatefulSetStatus{Replicas: 1, ReadyReplicas: 1, AvailableReplicas: 2, CurrentReplicas: -1, ObservedGeneration: -1, CollisionCount: new(int32(1))}
	got := fmt.Sprint(validateStatus(now, old).ToAggregate())
	for _, want := range []string{
		"status.currentReplicas: Invalid value: -1", "status.observedGeneration: Invalid value: -1", "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
		"cannot be greater than status.readyReplicas", "status.collisionCount: Invalid value: 1: cannot be decremented",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
}

func TestShown(t *testing.T) {
	d, s := Definition(), set()
	s.Status.ReadyReplicas = 1
	if row := d.Columns.Row(s); fmt.Sprint(row) != "[web 1/1 <unknown> c i:1]" || len(row) != len(d.Columns.Columns) {
		t.Errorf("row %v", row)
	}
	if selector, err := d.Scaling.Selector(s); selector != "app=web" || err != nil || d.Scaling.Replicas(s) != 1 {
		t.Errorf("scale: %s, %v", selector, err)
	}
	endless := set(claims, func(s *appsv1.StatefulSet) { s.Spec.RevisionHistoryLimit = new(int32(-1)) })
	if texts := d.Rules.WarnCreate(t.Context(), endless); len(texts) != 2 || !strings.HasPrefix(texts[0], "spec.revisionHistoryLimit: a negative value") || !strings.HasPrefix(texts[1], "spec.volumeClaimTemplates: ") {
		t.Errorf("warnings %q", texts)
	}
}
