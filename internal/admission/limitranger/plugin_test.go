package limitranger

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes/fake"
)

func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func creation(obj runtime.Object, plural string) admission.Attributes {
	return admission.NewAttributesRecord(obj, nil, schema.GroupVersionKind{}, "n", "x", corev1.SchemeGroupVersion.WithResource(plural), "", admission.Create, &metav1.CreateOptions{}, false, nil)
}

// plugin returns one that has seen a range with these items.
func plugin(t *testing.T, items ...corev1.LimitRangeItem) *Plugin {
	l := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "l"}, Spec: corev1.LimitRangeSpec{Limits: items}}
	p := New(fake.NewClientset(l), func(schema.GroupResource) <-chan struct{} { return nil })
	if err := p.Validate(t.Context(), creation(l, "limitranges"), nil); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestContainersGetWhatTheyDoNotSay(t *testing.T) {
	p := plugin(t, corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Default: list("cpu", "2", "memory", "1Gi"), DefaultRequest: list("cpu", "1")})
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		Containers:     []corev1.Container{{Name: "a"}, {Name: "b", Resources: corev1.ResourceRequirements{Limits: list("cpu", "3"), Requests: list("cpu", "3")}}},
		InitContainers: []corev1.Container{{Name: "i", Resources: corev1.ResourceRequirements{Requests: list("cpu", "1"), Limits: list("cpu", "1", "memory", "1Gi")}}},
	}}
	if err := p.Admit(t.Context(), creation(pod, "pods"), nil); err != nil {
		t.Fatal(err)
	}
	if got := pod.Annotations[annotation]; got != "LimitRanger plugin set: cpu request for container a; cpu, memory limit for container a; memory limit for container b" {
		t.Errorf("annotation %q", got)
	}
	if a, b := pod.Spec.Containers[0].Resources, pod.Spec.Containers[1].Resources; a.Requests.Cpu().String() != "1" || a.Limits.Memory().String() != "1Gi" || b.Limits.Cpu().String() != "3" || b.Requests.Cpu().String() != "3" {
		t.Errorf("%+v, %+v", a, b)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		item             corev1.LimitRangeItem
		requests, limits corev1.ResourceList
		want             string
	}{
		"too little":       {corev1.LimitRangeItem{Min: list("cpu", "100m")}, list("cpu", "50m"), nil, "minimum cpu usage per Container is 100m, but request is 50m"},
		"little limit":     {corev1.LimitRangeItem{Min: list("cpu", "100m")}, list("cpu", "100m"), list("cpu", "50m"), "minimum cpu usage per Container is 100m, but limit is 50m"},
		"nothing asked":    {corev1.LimitRangeItem{Min: list("cpu", "100m")}, nil, nil, "minimum cpu usage per Container is 100m.  No request is specified"},
		"too much":         {corev1.LimitRangeItem{Max: list("memory", "1Gi")}, nil, list("memory", "2Gi"), "maximum memory usage per Container is 1Gi, but limit is 2Gi"},
		"much asked":       {corev1.LimitRangeItem{Max: list("memory", "1Gi")}, list("memory", "2Gi"), list("memory", "1Gi"), "maximum memory usage per Container is 1Gi, but request is 2Gi"},
		"no limit":         {corev1.LimitRangeItem{Max: list("memory", "1Gi")}, nil, nil, "maximum memory usage per Container is 1Gi.  No limit is specified"},
		"ratio":            {corev1.LimitRangeItem{MaxLimitRequestRatio: list("cpu", "2")}, list("cpu", "1"), list("cpu", "3"), "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"},
		"ratio to nothing": {corev1.LimitRangeItem{MaxLimitRequestRatio: list("cpu", "2")}, list("cpu", "0"), list("cpu", "3"), "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0"},
		"ratio of nothing": {corev1.LimitRangeItem{MaxLimitRequestRatio: list("cpu", "2")}, list("cpu", "1"), nil, "but no limit is specified or limit is 0"},
		"right":            {corev1.LimitRangeItem{Min: list("cpu", "1"), Max: list("cpu", "2"), MaxLimitRequestRatio: list("cpu", "2")}, list("cpu", "1"), list("cpu", "2"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			tc.item.Type = corev1.LimitTypeContainer
			pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Resources: corev1.ResourceRequirements{Requests: tc.requests, Limits: tc.limits}}}}}
			err := plugin(t, tc.item).Validate(t.Context(), creation(pod, "pods"), nil)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

// TestPodsAreSummedUp counts the containers of a pod together, init containers only where
// they take more, unless the pod says what it takes.
func TestPodsAreSummedUp(t *testing.T) {
	p := plugin(t, corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: list("cpu", "3")})
	two := corev1.ResourceRequirements{Requests: list("cpu", "2"), Limits: list("cpu", "2")}
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: two}}, InitContainers: []corev1.Container{{Resources: two}}}}
	if err := p.Validate(t.Context(), creation(pod, "pods"), nil); err != nil {
		t.Error(err)
	}
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Resources: two})
	if err := p.Validate(t.Context(), creation(pod, "pods"), nil); err == nil || !strings.Contains(err.Error(), "maximum cpu usage per Pod is 3, but limit is 4") {
		t.Errorf("error %v", err)
	}
}

func TestClaimsAskForStorage(t *testing.T) {
	p := plugin(t, corev1.LimitRangeItem{Type: corev1.LimitTypePersistentVolumeClaim, Min: list("storage", "2Gi"), Max: list("storage", "3Gi")})
	for size, want := range map[string]string{"1Gi": "minimum storage usage per PersistentVolumeClaim is 2Gi, but request is 1Gi", "2Gi": "", "4Gi": "maximum storage usage per PersistentVolumeClaim is 3Gi, but request is 4Gi"} {
		claim := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: list("storage", size)}}}
		err := p.Validate(t.Context(), creation(claim, "persistentvolumeclaims"), nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v", size, err)
		}
	}
}

// TestNothingIsReadWithoutRanges has no client to read with.
func TestNothingIsReadWithoutRanges(t *testing.T) {
	p := New(nil, func(schema.GroupResource) <-chan struct{} { return nil })
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}}}}
	if err := p.Admit(t.Context(), creation(pod, "pods"), nil); err != nil || pod.Annotations != nil {
		t.Errorf("%v, %v", pod.Annotations, err)
	}
}
