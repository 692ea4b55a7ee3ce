package topologylabels_test

import (
	"errors"
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/admission/topologylabels"
)

const (
	zone   = "topology.kubernetes.io/zone"
	region = "topology.kubernetes.io/region"
)

func create(sub string, obj runtime.Object) admission.Attributes {
	return admission.NewAttributesRecord(obj, nil, corev1.SchemeGroupVersion.WithKind("Pod"), "n", "p",
		corev1.SchemeGroupVersion.WithResource("pods"), sub, admission.Create, &metav1.CreateOptions{}, false, nil)
}

func TestLabelsOfTheNodeReachThePod(t *testing.T) {
	client := fake.NewClientset(
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "both", Labels: map[string]string{
			zone: "z1", region: "r1", "kubernetes.io/hostname": "both", "topology.kubernetes.io/rack": "k", "own": "x",
		}}},
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "zone", Labels: map[string]string{zone: ""}}},
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "bare"}},
	)
	plugin := topologylabels.New(client)
	for name, tc := range map[string]struct {
		node         string
		labels, want map[string]string
	}{
		"zone and region, nothing else": {"both", nil, map[string]string{zone: "z1", region: "r1"}},
		"the node wins":                 {"both", map[string]string{zone: "mine", "app": "a"}, map[string]string{zone: "z1", region: "r1", "app": "a"}},
		"what it lacks stays":           {"zone", map[string]string{region: "mine"}, map[string]string{zone: "", region: "mine"}},
		"no topology":                   {"bare", nil, nil},
		"no such node":                  {"gone", map[string]string{zone: "mine"}, map[string]string{zone: "mine"}},
		"not bound":                     {"", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(tc.labels)}, Spec: corev1.PodSpec{NodeName: tc.node}}
			if err := plugin.Admit(t.Context(), create("", pod), nil); err != nil || !maps.Equal(pod.Labels, tc.want) {
				t.Errorf("pod: %v, labels %v, want %v", err, pod.Labels, tc.want)
			}
			for _, kind := range []string{"Node", ""} {
				b := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(tc.labels)}, Target: corev1.ObjectReference{Kind: kind, Name: tc.node}}
				if err := plugin.Admit(t.Context(), create("binding", b), nil); err != nil || !maps.Equal(b.Labels, tc.want) {
					t.Errorf("binding to kind %q: %v, labels %v, want %v", kind, err, b.Labels, tc.want)
				}
			}
		})
	}
}

func TestOtherRequestsAreLeftAlone(t *testing.T) {
	plugin := topologylabels.New(fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{zone: "z1"}}}))
	if plugin.Handles(admission.Update) {
		t.Error("updates are handled")
	}
	other := &corev1.Binding{Target: corev1.ObjectReference{Kind: "Cloud", Name: "a"}}
	status := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "a"}}
	if err := plugin.Admit(t.Context(), create("binding", other), nil); err != nil || other.Labels != nil {
		t.Errorf("bound to no node: %v, %v", err, other.Labels)
	}
	if err := plugin.Admit(t.Context(), create("eviction", status), nil); err != nil || status.Labels != nil {
		t.Errorf("another subresource: %v, %v", err, status.Labels)
	}
	if err := plugin.Admit(t.Context(), create("binding", status), nil); err == nil {
		t.Error("a Pod as a binding is accepted")
	}
	if err := plugin.Admit(t.Context(), create("", other), nil); err == nil {
		t.Error("a Binding as a pod is accepted")
	}
}

func TestUnreadableNodeRefuses(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("get", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no quorum") })
	err := topologylabels.New(client).Admit(t.Context(), create("", &corev1.Pod{Spec: corev1.PodSpec{NodeName: "a"}}), nil)
	if !apierrors.IsForbidden(err) {
		t.Errorf("%v", err)
	}
}
