package defaultclass_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/admission/defaultclass"
)

func meta(name string, made int64, annotations ...string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Unix(made, 0)), Annotations: map[string]string{}}
	for _, a := range annotations {
		key, value, _ := strings.Cut(a, "=")
		m.Annotations[key] = value
	}
	return m
}

const (
	isStorage = "storageclass.kubernetes.io/is-default-class=true"
	isBeta    = "storageclass.beta.kubernetes.io/is-default-class=true"
	isIngress = "ingressclass.kubernetes.io/is-default-class=true"
)

func storage(m metav1.ObjectMeta) runtime.Object { return &storagev1.StorageClass{ObjectMeta: m} }
func ingress(m metav1.ObjectMeta) runtime.Object { return &networkingv1.IngressClass{ObjectMeta: m} }

func admit(t *testing.T, client *fake.Clientset, obj runtime.Object, resource schema.GroupVersionResource, subresource string) error {
	t.Helper()
	a := admission.NewAttributesRecord(obj, nil, schema.GroupVersionKind{}, "n", "o", resource, subresource, admission.Create, &metav1.CreateOptions{}, false, nil)
	return defaultclass.New(client).Admit(t.Context(), a, nil)
}

func text(s *string) string {
	if s == nil {
		return "<nil>"
	}
	return *s
}

func TestObjectsWithoutAClassGetTheDefault(t *testing.T) {
	claim := func(change func(*corev1.PersistentVolumeClaim)) runtime.Object {
		c := &corev1.PersistentVolumeClaim{}
		if change != nil {
			change(c)
		}
		return c
	}
	for name, tc := range map[string]struct {
		classes []runtime.Object
		obj     runtime.Object
		want    string
	}{
		"claim":              {[]runtime.Object{storage(meta("slow", 1)), storage(meta("fast", 2, isStorage))}, claim(nil), "fast"},
		"claim, older mark":  {[]runtime.Object{storage(meta("fast", 2, isBeta))}, claim(nil), "fast"},
		"no default":         {[]runtime.Object{storage(meta("slow", 1, "storageclass.kubernetes.io/is-default-class=false"))}, claim(nil), "<nil>"},
		"no class at all":    {nil, claim(nil), "<nil>"},
		"the newest of them": {[]runtime.Object{storage(meta("a", 1, isStorage)), storage(meta("b", 3, isStorage)), storage(meta("c", 2, isStorage))}, claim(nil), "b"},
		"of one second":      {[]runtime.Object{storage(meta("b", 1, isStorage)), storage(meta("a", 1, isStorage))}, claim(nil), "a"},
		"claim of no class":  {[]runtime.Object{storage(meta("fast", 2, isStorage))}, claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = new("") }), ""},
		"claim with a class": {[]runtime.Object{storage(meta("fast", 2, isStorage))}, claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = new("own") }), "own"},
		"annotated claim": {[]runtime.Object{storage(meta("fast", 2, isStorage))}, claim(func(c *corev1.PersistentVolumeClaim) {
			c.Annotations = map[string]string{corev1.BetaStorageClassAnnotation: "own"}
		}), "<nil>"},
		"ingress":             {[]runtime.Object{ingress(meta("edge", 1, isIngress)), storage(meta("fast", 2, isStorage))}, &networkingv1.Ingress{}, "edge"},
		"ingress, no default": {[]runtime.Object{ingress(meta("edge", 1, isStorage))}, &networkingv1.Ingress{}, "<nil>"},
		"annotated ingress":   {[]runtime.Object{ingress(meta("edge", 1, isIngress))}, &networkingv1.Ingress{ObjectMeta: meta("i", 1, "kubernetes.io/ingress.class=own")}, "<nil>"},
		"ingress with a class": {[]runtime.Object{ingress(meta("edge", 1, isIngress))},
			&networkingv1.Ingress{Spec: networkingv1.IngressSpec{IngressClassName: new("own")}}, "own"},
	} {
		if err := admit(t, fake.NewClientset(tc.classes...), tc.obj, schema.GroupVersionResource{}, ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got string
		switch o := tc.obj.(type) {
		case *corev1.PersistentVolumeClaim:
			got = text(o.Spec.StorageClassName)
		case *networkingv1.Ingress:
			got = text(o.Spec.IngressClassName)
		}
		if got != tc.want {
			t.Errorf("%s: class %s, want %s", name, got, tc.want)
		}
	}
}

func TestWithoutTheClassesNothingIsAdmitted(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("down") })
	claims := corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims")
	if err := admit(t, client, &corev1.PersistentVolumeClaim{}, claims, ""); err == nil || !strings.Contains(err.Error(), `persistentvolumeclaims "o" is forbidden: down`) {
		t.Errorf("%v", err)
	}
	if err := admit(t, client, &corev1.PersistentVolumeClaim{}, claims, "status"); err != nil {
		t.Errorf("status: %v", err)
	}
	if err := admit(t, client, &corev1.Pod{}, corev1.SchemeGroupVersion.WithResource("pods"), ""); err != nil {
		t.Errorf("a pod: %v", err)
	}
}
