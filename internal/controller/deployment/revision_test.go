package deployment

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestRevisionsAreOnlyRaised(t *testing.T) {
	for name, tc := range map[string]struct {
		old, current string
		want         map[string]string
	}{
		"the first":            {"", "", map[string]string{revisionAnnotation: "1"}},
		"it is the last":       {"2", "3", map[string]string{revisionAnnotation: "3"}},
		"an old one is back":   {"5", "3", map[string]string{revisionAnnotation: "6", historyAnnotation: "3"}},
		"others are forgotten": {"1", "7", map[string]string{revisionAnnotation: "7"}},
		"nonsense":             {"5", "x", map[string]string{revisionAnnotation: "x"}},
		"nonsense of an old":   {"x", "", map[string]string{revisionAnnotation: "1"}},
	} {
		said := func(s *appsv1.ReplicaSet, revision string) *appsv1.ReplicaSet {
			if revision != "" {
				s.Annotations[revisionAnnotation] = revision
			}
			return s
		}
		r := newRollout(wants(1, "1", "0"), []*appsv1.ReplicaSet{said(replicas("old", 1, 1), tc.old), said(replicas("new", 1, 1), tc.current)})
		if got := r.annotated(r.current); !maps.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	if h := remember("", "1"); h != "1" {
		t.Errorf("%q", h)
	}
	if h := remember("1,2", "3"); h != "1,2,3" {
		t.Errorf("%q", h)
	}
	long := strings.Repeat("1234,", 399) + "9999"
	if h := remember(long, "77777"); len(h) > longestHistory || !strings.HasSuffix(h, ",9999,77777") || strings.HasPrefix(h, ",") {
		t.Errorf("%d characters: %s", len(h), h)
	}
	if h := remember(strings.Repeat("1", 3000), "2"); h != "2" {
		t.Errorf("%d characters", len(h))
	}
}

func TestRevisionBeforeTheLast(t *testing.T) {
	for want, revisions := range map[int64][]string{0: {}, 1: {"3", "1"}, 2: {"1", "2", "5"}} {
		var sets []*appsv1.ReplicaSet
		for i, revision := range revisions {
			sets = append(sets, replicas(string(rune('a'+i)), 0, 0, revisionAnnotation, revision))
		}
		if got := newRollout(wants(1, "1", "0"), sets).last(); got != want {
			t.Errorf("of %v: %d, want %d", revisions, got, want)
		}
	}
	if n := newRollout(wants(1, "1", "0"), []*appsv1.ReplicaSet{replicas("a", 0, 0, revisionAnnotation, "9223372036854775807")}).next(); n != math.MaxInt64 {
		t.Errorf("after the last number comes %d", n)
	}
}

func TestHistoryIsForgotten(t *testing.T) {
	of := func(image, revision string, size int32, change ...func(*appsv1.ReplicaSet)) *appsv1.ReplicaSet {
		s := replicas(image, size, size, revisionAnnotation, revision)
		for _, f := range change {
			f(s)
		}
		return s
	}
	unseen := func(s *appsv1.ReplicaSet) { s.Generation = 2 }
	pods := func(s *appsv1.ReplicaSet) { s.Status.Replicas = 1 }
	ending := func(s *appsv1.ReplicaSet) { s.DeletionTimestamp = &metav1.Time{Time: now} }
	for name, tc := range map[string]struct {
		limit *int32
		sets  []*appsv1.ReplicaSet
		want  []string
	}{
		"no limit":       {nil, []*appsv1.ReplicaSet{of("a", "1", 0)}, nil},
		"endless":        {new(int32(math.MaxInt32)), []*appsv1.ReplicaSet{of("a", "1", 0)}, nil},
		"room":           {new(int32(1)), []*appsv1.ReplicaSet{of("a", "1", 0)}, nil},
		"by revision":    {new(int32(1)), []*appsv1.ReplicaSet{of("a", "3", 0), of("b", "1", 0), of("c", "2", 0)}, []string{"b", "c"}},
		"none is kept":   {new(int32(0)), []*appsv1.ReplicaSet{of("a", "1", 0), of("new", "2", 1)}, []string{"a"}},
		"what has pods":  {new(int32(0)), []*appsv1.ReplicaSet{of("a", "1", 1), of("b", "1", 0, pods), of("c", "1", 0, unseen)}, nil},
		"what is ending": {new(int32(1)), []*appsv1.ReplicaSet{of("a", "1", 0, ending), of("b", "2", 0)}, nil},
	} {
		d := wants(1, "1", "0")
		d.Spec.RevisionHistoryLimit = tc.limit
		var got []string
		for _, s := range newRollout(d, tc.sets).forgotten() {
			got = append(got, strings.TrimPrefix(s.Name, "web-"))
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestRollback(t *testing.T) {
	back := func(to string, sets ...*appsv1.ReplicaSet) *rollout {
		d := wants(1, "1", "0")
		d.Annotations = map[string]string{appsv1.DeprecatedRollbackTo: to, "cause": "edit", "more": "x", corev1.LastAppliedConfigAnnotation: "{}", revisionAnnotation: "2"}
		return newRollout(d, sets)
	}
	two := func() []*appsv1.ReplicaSet {
		return []*appsv1.ReplicaSet{replicas("old", 0, 0, revisionAnnotation, "1", "cause", "create"), replicas("new", 1, 1, revisionAnnotation, "2", "cause", "edit")}
	}
	for name, tc := range map[string]struct {
		r       *rollout
		message string
		image   string
	}{
		"to the last":     {back("0", two()...), `Rolled back deployment "web" to revision 1`, "old"},
		"to a number":     {back("1", two()...), `Rolled back deployment "web" to revision 1`, "old"},
		"to what it is":   {back("2", two()...), `The rollback revision contains the same template as current deployment "web"`, "new"},
		"to what is gone": {back("9", two()...), "Unable to find the revision to rollback to.", "new"},
		"to nothing":      {back("0", two()[1:]...), "Unable to find last revision.", "new"},
	} {
		to, ok := rollbackTo(tc.r.deployment)
		done := tc.r.rollback(to)
		d := tc.r.deployment
		if !ok || done.message != tc.message || d.Spec.Template.Spec.Containers[0].Image != tc.image {
			t.Errorf("%s: %+v, image %s", name, done, d.Spec.Template.Spec.Containers[0].Image)
		}
		want := map[string]string{"cause": "edit", "more": "x", corev1.LastAppliedConfigAnnotation: "{}", revisionAnnotation: "2"}
		if tc.image == "old" {
			want = map[string]string{"cause": "create", corev1.LastAppliedConfigAnnotation: "{}", revisionAnnotation: "2"}
		}
		if !maps.Equal(d.Annotations, want) || d.Spec.Template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != "" {
			t.Errorf("%s: annotations %v, labels %v", name, d.Annotations, d.Spec.Template.Labels)
		}
	}
	if _, ok := rollbackTo(back("soon").deployment); ok {
		t.Error("it goes back to what is no number")
	}
}
