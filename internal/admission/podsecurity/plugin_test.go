package podsecurity_test

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/admission/podsecurity"
)

type recorder struct{ texts []string }

func (r *recorder) AddWarning(_, text string) { r.texts = append(r.texts, text) }

func TestPodIsToldThatNobodyChecksIt(t *testing.T) {
	index := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	for name, labels := range map[string]map[string]string{
		"plain": nil, "open": {"pod-security.kubernetes.io/enforce": "privileged"},
		"strict": {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "v1.30", "pod-security.kubernetes.io/warn": "baseline"},
	} {
		if err := index.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}); err != nil {
			t.Fatal(err)
		}
	}
	const notHonoured = ": it is not honoured by Laterna, and the pod was not checked"
	p := podsecurity.New(corelisters.NewNamespaceLister(index))
	for _, tc := range []struct {
		namespace, resource, sub string
		want                     []string
	}{
		{"plain", "pods", "", nil}, {"open", "pods", "", nil}, {"missing", "pods", "", nil}, {"strict", "configmaps", "", nil}, {"strict", "pods", "binding", nil},
		{"strict", "pods", "", []string{"namespace strict has the label pod-security.kubernetes.io/enforce=restricted" + notHonoured, "namespace strict has the label pod-security.kubernetes.io/warn=baseline" + notHonoured}},
	} {
		var heard recorder
		ctx := warning.WithWarningRecorder(context.Background(), &heard)
		a := admission.NewAttributesRecord(&corev1.Pod{}, nil, corev1.SchemeGroupVersion.WithKind("Pod"), tc.namespace, "p", corev1.SchemeGroupVersion.WithResource(tc.resource), tc.sub, admission.Create, nil, false, nil)
		if err := p.Admit(ctx, a, nil); err != nil || !slices.Equal(heard.texts, tc.want) {
			t.Errorf("%s %s %s: %v, %q", tc.namespace, tc.resource, tc.sub, err, heard.texts)
		}
	}
}
