package deployment

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// wants is a Deployment of that many pods that rolls with these bounds.
func wants(n int32, surge, missing string) *appsv1.Deployment {
	up, down := intstr.Parse(surge), intstr.Parse(missing)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "d", Generation: 2},
		Spec: appsv1.DeploymentSpec{
			Replicas: &n, Template: template("new"), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			RevisionHistoryLimit: new(int32(10)), ProgressDeadlineSeconds: new(int32(600)),
			Strategy: appsv1.DeploymentStrategy{
				Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &up, MaxUnavailable: &down},
			},
		},
	}
}

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}},
	}
}

// replicas is a ReplicaSet with an image, so many pods, of which so many are available; each is
// younger than the ones made before it.
func replicas(image string, size, available int32, annotations ...string) *appsv1.ReplicaSet {
	made++
	s := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "web-" + image, UID: types.UID(image), Annotations: map[string]string{},
			CreationTimestamp: metav1.NewTime(now.Add(time.Duration(made) * time.Second)),
		},
		Spec:   appsv1.ReplicaSetSpec{Replicas: &size, Template: template(image)},
		Status: appsv1.ReplicaSetStatus{Replicas: size, ReadyReplicas: available, AvailableReplicas: available},
	}
	s.Spec.Template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = image
	for i := 0; i+1 < len(annotations); i += 2 {
		s.Annotations[annotations[i]] = annotations[i+1]
	}
	return s
}

// made counts what replicas has made.
var made int

func shown(steps []scaling) string {
	var all []string
	for _, s := range steps {
		all = append(all, fmt.Sprintf("%s %d→%d", strings.TrimPrefix(s.set.Name, "web-"), size(s.set), s.to))
	}
	return strings.Join(all, ", ")
}

func TestBounds(t *testing.T) {
	for _, tc := range []struct {
		n              int32
		surge, missing string
		want           [2]int
	}{
		{10, "25%", "25%", [2]int{3, 2}},
		{1, "25%", "25%", [2]int{1, 0}},
		{3, "0", "0%", [2]int{0, 1}},
		{3, "0", "10%", [2]int{0, 1}},
		{3, "1", "5", [2]int{1, 3}},
		{0, "1", "1", [2]int{1, 0}},
		{0, "0", "0", [2]int{0, 0}},
		{10, "odd", "1", [2]int{0, 1}},
		{math.MaxInt32, "1000%", "100%", [2]int{math.MaxInt32, math.MaxInt32}},
	} {
		r := newRollout(wants(tc.n, tc.surge, tc.missing), nil)
		if surge, missing := r.bounds(); [2]int{surge, missing} != tc.want {
			t.Errorf("%+v: %d, %d", tc, surge, missing)
		}
		if r.most() < r.want() || r.most() > math.MaxInt32 {
			t.Errorf("%+v: at most %d", tc, r.most())
		}
	}
}

func TestRollingSteps(t *testing.T) {
	for name, tc := range map[string]struct {
		d    *appsv1.Deployment
		sets []*appsv1.ReplicaSet
		want string
	}{
		"done":                          {wants(10, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 0, 0), replicas("new", 10, 10)}, ""},
		"the new set grows first":       {wants(10, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 10, 10), replicas("new", 0, 0)}, "new 0→3"},
		"then the old one shrinks":      {wants(10, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 10, 10), replicas("new", 3, 0)}, "old 10→8"},
		"then there is room":            {wants(10, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 8, 8), replicas("new", 3, 0)}, "new 3→5"},
		"nothing while none is ready":   {wants(10, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 8, 8), replicas("new", 5, 0)}, ""},
		"as many go as are ready":       {wants(10, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 8, 8), replicas("new", 5, 3)}, "old 8→5"},
		"the idle go first":             {wants(10, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 5, 5), replicas("broken", 5, 0), replicas("new", 3, 3)}, "broken 5→0"},
		"the oldest idle go first":      {wants(10, "3", "2"), []*appsv1.ReplicaSet{replicas("a", 3, 0), replicas("b", 3, 0), replicas("new", 7, 7)}, "a 3→0, b 3→1"},
		"a broken rollout is held":      {wants(10, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 8, 7), replicas("new", 5, 0)}, ""},
		"a set that is too large":       {wants(3, "1", "1"), []*appsv1.ReplicaSet{replicas("old", 2, 2), replicas("new", 5, 5)}, "new 5→3"},
		"none is wanted":                {wants(0, "1", "1"), []*appsv1.ReplicaSet{replicas("old", 2, 2), replicas("new", 0, 0)}, "old 2→0"},
		"no surge":                      {wants(2, "0", "1"), []*appsv1.ReplicaSet{replicas("old", 2, 2), replicas("new", 0, 0)}, "old 2→1"},
		"no surge, room":                {wants(2, "0", "1"), []*appsv1.ReplicaSet{replicas("old", 1, 1), replicas("new", 0, 0)}, "new 0→1"},
		"more available than there are": {wants(2, "1", "0"), []*appsv1.ReplicaSet{replicas("old", 1, 3), replicas("new", 2, 2)}, "old 1→0"},
	} {
		if got := shown(newRollout(tc.d, tc.sets).roll()); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// TestRolloutEnds rolls from one template to another with sets that do at once what they
// are told: never are there more pods than there may be, nor fewer available ones.
func TestRolloutEnds(t *testing.T) {
	for n := int32(1); n <= 12; n++ {
		for _, surge := range []string{"0", "1", "25%", "100%"} {
			for _, missing := range []string{"0", "1", "25%", "100%"} {
				r := newRollout(wants(n, surge, missing), []*appsv1.ReplicaSet{replicas("old", n, n), replicas("new", 0, 0)})
				steps := 0
				for ; steps < 100; steps++ {
					todo := r.roll()
					if len(todo) == 0 {
						break
					}
					for _, s := range todo {
						to := int32(s.to)
						s.set.Spec.Replicas, s.set.Status.Replicas, s.set.Status.AvailableReplicas = &to, to, to
					}
					if has := total(r.all()); has > r.most() || available(r.all()) < r.least() {
						t.Fatalf("%d, %s, %s: %d pods, %d available, may be %d and %d", n, surge, missing, has, available(r.all()), r.most(), r.least())
					}
				}
				if size(r.current) != int(n) || size(r.old[0]) != 0 {
					t.Errorf("%d, %s, %s: ends with %d new and %d old after %d steps", n, surge, missing, size(r.current), size(r.old[0]), steps)
				}
			}
		}
	}
}

func TestScaledInTheMiddleOfARollout(t *testing.T) {
	told := func(n int) []string {
		return []string{desiredAnnotation, strconv.Itoa(n), maxAnnotation, strconv.Itoa(n + 3)}
	}
	recreate := wants(5, "1", "1")
	recreate.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	for name, tc := range map[string]struct {
		d        *appsv1.Deployment
		sets     []*appsv1.ReplicaSet
		rescaled bool
		want     string
	}{
		"not scaled":         {wants(10, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 8, 8, told(10)...), replicas("new", 5, 0, told(10)...)}, false, "old 8→8, new 5→5"},
		"upstream's example": {wants(30, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 8, 8, told(10)...), replicas("new", 5, 0, told(10)...)}, true, "old 8→20, new 5→13"},
		"down":               {wants(5, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 8, 8, told(10)...), replicas("new", 5, 0, told(10)...)}, true, "old 8→5, new 5→3"},
		"to nothing":         {wants(0, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 8, 8, told(10)...), replicas("new", 5, 0, told(10)...)}, true, "old 8→0, new 5→0"},
		"the younger first":  {wants(11, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 6, 6, told(10)...), replicas("new", 6, 6, told(10)...)}, true, "new 6→8, old 6→6"},
		"the older first":    {wants(8, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 6, 6, told(10)...), replicas("new", 6, 6, told(10)...)}, true, "old 6→5, new 6→6"},
		"only one":           {wants(7, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 0, 0), replicas("new", 5, 5, told(5)...)}, true, "new 5→7"},
		"only an old one":    {wants(7, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 5, 5, told(5)...)}, true, "old 5→7"},
		"none":               {wants(7, "3", "2"), []*appsv1.ReplicaSet{replicas("a", 0, 0), replicas("b", 0, 0)}, false, "b 0→7"},
		"no sets":            {wants(7, "3", "2"), nil, false, ""},
		"saturated":          {wants(5, "3", "2"), []*appsv1.ReplicaSet{replicas("old", 3, 3, told(3)...), replicas("new", 5, 5, told(5)...)}, true, "old 3→0"},
		"told nothing":       {wants(20, "0", "2"), []*appsv1.ReplicaSet{replicas("old", 5, 5), replicas("new", 5, 5)}, false, "new 5→15, old 5→5"},
		"told nonsense":      {wants(20, "0", "2"), []*appsv1.ReplicaSet{replicas("old", 5, 5, desiredAnnotation, "99999999999"), replicas("new", 5, 5, desiredAnnotation, "x")}, false, "new 5→15, old 5→5"},
		"recreated":          {recreate, []*appsv1.ReplicaSet{replicas("old", 3, 3, told(3)...), replicas("new", 1, 1, told(3)...)}, true, ""},
	} {
		r := newRollout(tc.d, tc.sets)
		if got := shown(r.scale()); r.rescaled() != tc.rescaled || got != tc.want {
			t.Errorf("%s: rescaled %v, %q, want %q", name, r.rescaled(), got, tc.want)
		}
	}
	huge := newRollout(wants(math.MaxInt32, "100%", "0"), []*appsv1.ReplicaSet{replicas("old", math.MaxInt32, 0, maxAnnotation, "1"), replicas("new", 5, 0, maxAnnotation, "1")})
	for _, s := range huge.scale() {
		if s.to < 0 || s.to > math.MaxInt32 {
			t.Errorf("%s", shown([]scaling{s}))
		}
	}
}

func TestWhichSetIsCurrent(t *testing.T) {
	first, second := replicas("new", 1, 1), replicas("old", 1, 1)
	twin := replicas("new", 0, 0)
	twin.Name, twin.Spec.Template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = "twin", "other"
	r := newRollout(wants(1, "1", "0"), []*appsv1.ReplicaSet{twin, second, first})
	if r.current != first || len(r.old) != 2 || r.old[0] != second || len(r.all()) != 3 {
		t.Errorf("current %v, old %v", r.current, r.old)
	}
	if r := newRollout(wants(1, "1", "0"), []*appsv1.ReplicaSet{second}); r.current != nil {
		t.Errorf("current %v", r.current)
	}
}

func TestOldPodsRun(t *testing.T) {
	pod := func(phase corev1.PodPhase) []*corev1.Pod {
		return []*corev1.Pod{{Status: corev1.PodStatus{Phase: phase}}}
	}
	for name, tc := range map[string]struct {
		counted int32
		pods    map[types.UID][]*corev1.Pod
		want    bool
	}{
		"none":               {0, nil, false},
		"counted":            {1, nil, true},
		"ends":               {0, map[types.UID][]*corev1.Pod{"old": pod(corev1.PodRunning)}, true},
		"has ended":          {0, map[types.UID][]*corev1.Pod{"old": pod(corev1.PodFailed)}, false},
		"of the current set": {0, map[types.UID][]*corev1.Pod{"new": pod(corev1.PodRunning)}, false},
	} {
		old := replicas("old", 0, 0)
		old.Status.Replicas = tc.counted
		r := newRollout(wants(1, "1", "0"), []*appsv1.ReplicaSet{old, replicas("new", 1, 1)})
		if got := r.oldRun(func(set types.UID) []*corev1.Pod { return tc.pods[set] }); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNewSet(t *testing.T) {
	d := wants(4, "50%", "0")
	d.Annotations = map[string]string{"a": "b", revisionAnnotation: "7", corev1.LastAppliedConfigAnnotation: "{}"}
	d.Spec.MinReadySeconds = 5
	r := newRollout(d, []*appsv1.ReplicaSet{replicas("old", 3, 3, revisionAnnotation, "3")})
	s := r.made()
	hash := s.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	if hash == "" || s.Name != "web-"+hash || s.Spec.Selector.MatchLabels[appsv1.DefaultDeploymentUniqueLabelKey] != hash || s.Spec.Template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != hash ||
		s.Labels["app"] != "web" || size(s) != 3 || s.Spec.MinReadySeconds != 5 || !metav1.IsControlledBy(s, d) {
		t.Errorf("%+v", s)
	}
	if want := map[string]string{"a": "b", revisionAnnotation: "4", desiredAnnotation: "4", maxAnnotation: "6"}; !maps.Equal(s.Annotations, want) {
		t.Errorf("annotations %v", s.Annotations)
	}
	if d.Spec.Template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != "" || d.Spec.Selector.MatchLabels[appsv1.DefaultDeploymentUniqueLabelKey] != "" {
		t.Error("the deployment is changed")
	}
	d.Status.CollisionCount = new(int32(1))
	if again := r.made(); again.Name == s.Name {
		t.Errorf("after a collision the name is %s as before", again.Name)
	}
	if name := setName(strings.Repeat("d", 253), "hash"); len(name) != 253 || !strings.HasSuffix(name, "d-hash") {
		t.Errorf("%d characters: %s", len(name), name)
	}
}
