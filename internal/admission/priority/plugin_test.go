package priority_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes/fake"
	schedulinglisters "k8s.io/client-go/listers/scheduling/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/admission/priority"
)

func attributes(op admission.Operation, sub string, pod, old *corev1.Pod) admission.Attributes {
	return admission.NewAttributesRecord(pod, old, corev1.SchemeGroupVersion.WithKind("Pod"), "n", "p", corev1.SchemeGroupVersion.WithResource("pods"), sub, op, nil, false, nil)
}

func class(name string, value int32, isDefault bool) *schedulingv1.PriorityClass {
	return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value, GlobalDefault: isDefault}
}

// plugin knows classes, and can read those that only the API has.
func plugin(t *testing.T, known []*schedulingv1.PriorityClass, stored ...runtime.Object) *priority.Plugin {
	t.Helper()
	index := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	for _, c := range known {
		if err := index.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	return priority.New(fake.NewClientset(stored...), schedulinglisters.NewPriorityClassLister(index))
}

func TestPodsGetThePriorityOfTheirClass(t *testing.T) {
	never := corev1.PreemptNever
	polite := class("polite", 7, false)
	polite.PreemptionPolicy = &never
	known := []*schedulingv1.PriorityClass{class("high", 1000, false), polite}
	withDefault := append([]*schedulingv1.PriorityClass{class("usual", 50, true), class("second", 60, true)}, known...)
	for name, tc := range map[string]struct {
		known []*schedulingv1.PriorityClass
		spec  corev1.PodSpec
		want  int32
		class string
		err   string
	}{
		"nothing":         {known, corev1.PodSpec{}, 0, "", ""},
		"zero":            {known, corev1.PodSpec{Priority: ptr.To[int32](0)}, 0, "", ""},
		"cluster":         {nil, corev1.PodSpec{PriorityClassName: "system-cluster-critical"}, 2000000000, "system-cluster-critical", ""},
		"node":            {nil, corev1.PodSpec{PriorityClassName: "system-node-critical"}, 2000001000, "system-node-critical", ""},
		"its class":       {known, corev1.PodSpec{PriorityClassName: "high"}, 1000, "high", ""},
		"right number":    {known, corev1.PodSpec{PriorityClassName: "high", Priority: ptr.To[int32](1000)}, 1000, "high", ""},
		"a new class":     {known, corev1.PodSpec{PriorityClassName: "new"}, 3, "new", ""},
		"the default":     {withDefault, corev1.PodSpec{}, 50, "usual", ""},
		"not the default": {withDefault, corev1.PodSpec{PriorityClassName: "high"}, 1000, "high", ""},
		"its policy":      {known, corev1.PodSpec{PriorityClassName: "polite", PreemptionPolicy: &never}, 7, "polite", ""},
		"unknown class":   {known, corev1.PodSpec{PriorityClassName: "higher"}, 0, "", "no PriorityClass with name higher was found"},
		"own number":      {known, corev1.PodSpec{Priority: ptr.To[int32](7)}, 0, "", "the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name"},
		"own preemption":  {known, corev1.PodSpec{PreemptionPolicy: &never}, 0, "", "the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission controller computed PreemptLowerPriority from the given PriorityClass name"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: tc.spec}
			err := plugin(t, tc.known, class("new", 3, false)).Admit(t.Context(), attributes(admission.Create, "", pod, nil), nil)
			if tc.err != "" {
				if err == nil || !strings.HasSuffix(err.Error(), tc.err) {
					t.Errorf("err = %v, want %s", err, tc.err)
				}
				return
			}
			policy := corev1.PreemptLowerPriority
			if tc.class == "polite" {
				policy = never
			}
			if err != nil || *pod.Spec.Priority != tc.want || pod.Spec.PriorityClassName != tc.class || *pod.Spec.PreemptionPolicy != policy {
				t.Errorf("%v, admitted as %+v, want priority %d of %q", err, pod.Spec, tc.want, tc.class)
			}
		})
	}
}

func TestUpdateKeeps(t *testing.T) {
	policy := corev1.PreemptLowerPriority
	old := &corev1.Pod{Spec: corev1.PodSpec{Priority: ptr.To[int32](5), PreemptionPolicy: &policy}}
	pod := &corev1.Pod{}
	p := plugin(t, nil)
	if err := p.Admit(t.Context(), attributes(admission.Update, "", pod, old), nil); err != nil {
		t.Fatal(err)
	}
	if pod.Spec.Priority == nil || *pod.Spec.Priority != 5 || pod.Spec.PreemptionPolicy == nil {
		t.Errorf("after an update without them: %+v", pod.Spec)
	}
	bare := &corev1.Pod{}
	if err := p.Admit(t.Context(), attributes(admission.Update, "status", bare, old), nil); err != nil || bare.Spec.Priority != nil {
		t.Errorf("a report was changed: %v %+v", err, bare.Spec)
	}
}

func TestOneClassIsTheDefaultAndThoseOfTheSystemStay(t *testing.T) {
	p := plugin(t, []*schedulingv1.PriorityClass{class("usual", 50, true)})
	for name, tc := range map[string]struct {
		op    admission.Operation
		class *schedulingv1.PriorityClass
		named string
		want  string
	}{
		"a second default": {admission.Create, class("other", 1, true), "other", `priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass usual is already marked as default. Only one default can exist`},
		"made the default": {admission.Update, class("other", 1, true), "other", `priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass usual is already marked as default. Only one default can exist`},
		"the same":         {admission.Update, class("usual", 50, true), "usual", ""},
		"no default":       {admission.Create, class("other", 1, false), "other", ""},
		"deleted":          {admission.Delete, nil, "usual", ""},
		"system's deleted": {admission.Delete, nil, "system-node-critical", `priorityclasses.scheduling.k8s.io "system-node-critical" is forbidden: this is a system priority class and cannot be deleted`},
	} {
		var object runtime.Object
		if tc.class != nil {
			object = tc.class
		}
		a := admission.NewAttributesRecord(object, nil, schedulingv1.SchemeGroupVersion.WithKind("PriorityClass"), "", tc.named, schedulingv1.SchemeGroupVersion.WithResource("priorityclasses"), "", tc.op, nil, false, nil)
		got := ""
		if err := p.Validate(t.Context(), a, nil); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}
