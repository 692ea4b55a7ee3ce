package runtimeclass_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/admission/runtimeclass"
)

func cpu(amount string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(amount)}
}

func TestPodsGetWhatTheirRuntimeClassSays(t *testing.T) {
	toleration := corev1.Toleration{Key: "vm", Operator: corev1.TolerationOpExists}
	client := fake.NewClientset(
		&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "plain"}, Handler: "runc"},
		&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "vm"}, Handler: "kata", Overhead: &nodev1.Overhead{PodFixed: cpu("250m")},
			Scheduling: &nodev1.Scheduling{NodeSelector: map[string]string{"vm": "yes"}, Tolerations: []corev1.Toleration{toleration}}},
	)
	given := corev1.PodSpec{Overhead: cpu("250m"), NodeSelector: map[string]string{"vm": "yes"}, Tolerations: []corev1.Toleration{toleration}}
	for name, tc := range map[string]struct {
		class  string
		spec   corev1.PodSpec
		want   corev1.PodSpec
		refuse string
	}{
		"no class":                   {},
		"empty name":                 {class: " "},
		"missing class":              {class: "gone", refuse: `pod rejected: RuntimeClass "gone" not found`},
		"overhead without class":     {spec: corev1.PodSpec{Overhead: cpu("1")}, refuse: "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"},
		"overhead without the class": {class: "plain", spec: corev1.PodSpec{Overhead: cpu("1")}, refuse: "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"},
		"class without overhead":     {class: "plain"},
		"class":                      {class: "vm", want: given},
		"the same again":             {class: "vm", spec: given, want: given},
		"another overhead":           {class: "vm", spec: corev1.PodSpec{Overhead: cpu("1")}, refuse: "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"},
		"another node":               {class: "vm", spec: corev1.PodSpec{NodeSelector: map[string]string{"vm": "no"}}, refuse: "conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"}, Spec: *tc.spec.DeepCopy()}
			if tc.class != "" {
				pod.Spec.RuntimeClassName = ptr.To(strings.TrimSpace(tc.class))
			}
			tc.want.RuntimeClassName = pod.Spec.RuntimeClassName
			a := admission.NewAttributesRecord(pod, nil, corev1.SchemeGroupVersion.WithKind("Pod"), "n", "p", corev1.SchemeGroupVersion.WithResource("pods"), "", admission.Create, nil, false, nil)
			p := runtimeclass.New(client)
			err := p.Admit(t.Context(), a, nil)
			if tc.refuse != "" {
				if !apierrors.IsForbidden(err) || !strings.HasSuffix(err.Error(), tc.refuse) {
					t.Errorf("err = %v, want Forbidden: %s", err, tc.refuse)
				}
				return
			}
			if err != nil || !equality.Semantic.DeepEqual(pod.Spec, tc.want) {
				t.Errorf("%v, admitted as %+v, want %+v", err, pod.Spec, tc.want)
			}
			if err := p.Validate(t.Context(), a, nil); err != nil {
				t.Errorf("what was admitted is not valid: %v", err)
			}
		})
	}
}
