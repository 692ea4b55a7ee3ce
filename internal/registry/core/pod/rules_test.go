package pod

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/core/podspec"
)

func parse[T any](t testing.TB, text string) *T {
	t.Helper()
	obj := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return obj
}

// spec returns a pod with defaults from the YAML of its spec.
func withSpec(t testing.TB, text string) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod", Namespace: "ns"}, Spec: *parse[corev1.PodSpec](t, text)}
	podspec.SetPodDefaults(p)
	return p
}

const oneContainer = "containers: [{name: main, image: 'i:1'}]"

func compare(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, err := range errs {
		got = append(got, err.Error())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// recorder collects the warnings of a request.
type recorder struct{ texts []string }

func (r *recorder) AddWarning(_, text string) { r.texts = append(r.texts, text) }

func TestOldWaysAreWarnedOfWhenTheyAreTurned(t *testing.T) {
	p, r := withSpec(t, oneContainer+"\nterminationGracePeriodSeconds: -5"), &recorder{}
	prepareCreate(warning.WithWarningRecorder(t.Context(), r), p)
	if *p.Spec.TerminationGracePeriodSeconds != 1 || len(r.texts) != 1 {
		t.Errorf("%d seconds, warnings %q", *p.Spec.TerminationGracePeriodSeconds, r.texts)
	}
	if errs := validateCreate(p); len(errs) > 0 {
		t.Error(errs)
	}
}

// TestStoredAnnotationsDoNotHoldAStatusUp takes a pod from before AppArmor's annotations
// were checked.
func TestStoredAnnotationsDoNotHoldAStatusUp(t *testing.T) {
	p := withSpec(t, oneContainer)
	p.Annotations = map[string]string{corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix + "main": "docker/default"}
	if errs := validateCreate(p); len(errs) != 1 {
		t.Errorf("a new pod: %v", errs)
	}
	if errs := validateStatus(p.DeepCopy(), p); len(errs) > 0 {
		t.Errorf("the status of a stored one: %v", errs)
	}
	if errs := validateUpdate(p.DeepCopy(), p); len(errs) > 0 {
		t.Errorf("an update of a stored one: %v", errs)
	}
}

func TestGracePeriod(t *testing.T) {
	for _, c := range []struct {
		name  string
		node  string
		phase corev1.PodPhase
		own   *int64
		asked *int64
		want  int64
	}{
		{"own", "n", corev1.PodRunning, ptr.To[int64](30), nil, 30},
		{"asked", "n", corev1.PodRunning, ptr.To[int64](30), ptr.To[int64](5), 5},
		{"asked for more", "n", corev1.PodRunning, ptr.To[int64](30), ptr.To[int64](300), 300},
		{"at once", "n", corev1.PodRunning, ptr.To[int64](30), ptr.To[int64](0), 0},
		{"no own", "n", corev1.PodRunning, nil, nil, 0},
		{"no node", "", corev1.PodPending, ptr.To[int64](30), ptr.To[int64](5), 0},
		{"failed", "n", corev1.PodFailed, ptr.To[int64](30), ptr.To[int64](5), 0},
		{"succeeded", "n", corev1.PodSucceeded, ptr.To[int64](30), nil, 0},
		{"negative own", "n", corev1.PodRunning, ptr.To[int64](-3), nil, 1},
		{"negative asked", "n", corev1.PodRunning, ptr.To[int64](30), ptr.To[int64](-1), 1},
		{"negative without node", "", corev1.PodPending, ptr.To[int64](-3), nil, 0},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{NodeName: c.node, TerminationGracePeriodSeconds: c.own}, Status: corev1.PodStatus{Phase: c.phase}}
		if got := gracePeriod(p, c.asked); got != c.want {
			t.Errorf("%s: %d s, want %d s", c.name, got, c.want)
		}
		o := &metav1.DeleteOptions{GracePeriodSeconds: c.asked}
		if !rules().GracefulDelete(t.Context(), p, o) || *o.GracePeriodSeconds != c.want {
			t.Errorf("%s: options %+v", c.name, o)
		}
	}
}

func TestPrepareCreate(t *testing.T) {
	p := withSpec(t, oneContainer+"\nserviceAccountName: sa\nschedulingGates: [{name: a}]")
	p.Generation = 9
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "1.2.3.4"}
	prepareCreate(t.Context(), p)
	if p.Generation != 1 || p.Status.Phase != corev1.PodPending || p.Status.PodIP != "" || p.Status.QOSClass != corev1.PodQOSBestEffort {
		t.Errorf("generation %d, status %+v", p.Generation, p.Status)
	}
	if p.Spec.DeprecatedServiceAccount != "sa" {
		t.Errorf("serviceAccount is %q", p.Spec.DeprecatedServiceAccount)
	}
	c := p.Status.Conditions
	if len(c) != 1 || c[0].Type != corev1.PodScheduled || c[0].Status != corev1.ConditionFalse || c[0].Reason != "SchedulingGated" ||
		c[0].Message != "Scheduling is blocked due to non-empty scheduling gates" || c[0].LastTransitionTime.IsZero() {
		t.Errorf("conditions %+v", c)
	}
}

func TestPrepareUpdate(t *testing.T) {
	old := withSpec(t, oneContainer)
	old.Generation, old.Status.Phase = 4, corev1.PodRunning
	p := old.DeepCopy()
	p.Labels, p.Status.Phase = map[string]string{"a": "b"}, corev1.PodFailed
	prepareUpdate(t.Context(), p, old)
	if p.Generation != 4 || p.Status.Phase != corev1.PodRunning {
		t.Errorf("a label changed generation to %d or phase to %s", p.Generation, p.Status.Phase)
	}
	p.Spec.Containers[0].Image = "i:2"
	if prepareUpdate(t.Context(), p, old); p.Generation != 5 {
		t.Errorf("generation after a change of the spec is %d", p.Generation)
	}
}

func TestValidateCreate(t *testing.T) {
	p := withSpec(t, oneContainer+"\nnodeName: n\nschedulingGates: [{name: a}]\nephemeralContainers: [{name: e, image: i}]")
	p.Finalizers = []string{"example.com/x", "foregroundDeletion", "nope"}
	compare(t, validateCreate(p),
		`metadata.finalizers[2]: Invalid value: "nope": name is neither a standard finalizer name nor is it fully qualified`,
		"spec.ephemeralContainers: Forbidden: cannot be set on create",
		"spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared")
	compare(t, validateCreate(withSpec(t, oneContainer)))
}

func TestWarnCreate(t *testing.T) {
	p := withSpec(t, oneContainer)
	if w := warnCreate(p); len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
	p.Name = "a.b"
	w := warnCreate(p)
	if len(w) != 1 || !strings.HasPrefix(w[0], "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [") {
		t.Errorf("warnings %q", w)
	}
}

func TestSetCondition(t *testing.T) {
	old := metav1.Unix(1000, 0)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: 4}}
	p.Status.Conditions = []corev1.PodCondition{{Type: "A", Status: "True", LastTransitionTime: old}}
	s := &p.Status
	setCondition(p, corev1.PodCondition{Type: "A", Status: "True", Reason: "R"})
	if c := s.Conditions[0]; c.Reason != "R" || c.ObservedGeneration != 4 || !c.LastTransitionTime.Equal(&old) {
		t.Errorf("same status: %+v", c)
	}
	setCondition(p, corev1.PodCondition{Type: "A", Status: "False"})
	setCondition(p, corev1.PodCondition{Type: "B", Status: "True"})
	if len(s.Conditions) != 2 || s.Conditions[0].LastTransitionTime.Equal(&old) {
		t.Errorf("conditions %+v", s.Conditions)
	}
}
