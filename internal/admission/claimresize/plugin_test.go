package claimresize_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/admission/claimresize"
)

func claim(size, class string, phase corev1.PersistentVolumeClaimPhase) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data", Namespace: "default", Annotations: map[string]string{}}}
	c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
	if class != "" {
		c.Spec.StorageClassName = &class
	}
	c.Status.Phase = phase
	return c
}

func class(name string, grows *bool) runtime.Object {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, AllowVolumeExpansion: grows}
}

func validate(t *testing.T, client *fake.Clientset, before, now runtime.Object, subresource string) error {
	t.Helper()
	a := admission.NewAttributesRecord(now, before, schema.GroupVersionKind{}, "default", "data", corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims"), subresource, admission.Update, &metav1.UpdateOptions{}, false, nil)
	return claimresize.New(client).Validate(t.Context(), a, nil)
}

func TestClaimsGrowWhereTheirStorageDoes(t *testing.T) {
	const unbound = "Only bound persistent volume claims can be expanded"
	const fixed = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
	annotated := func(c *corev1.PersistentVolumeClaim, class string) *corev1.PersistentVolumeClaim {
		c.Annotations[corev1.BetaStorageClassAnnotation] = class
		return c
	}
	client := fake.NewClientset(class("elastic", new(true)), class("rigid", new(false)), class("silent", nil))
	for name, c := range map[string]struct {
		before, now *corev1.PersistentVolumeClaim
		want        string
	}{
		"grows":           {claim("1Gi", "elastic", corev1.ClaimBound), claim("2Gi", "elastic", corev1.ClaimBound), ""},
		"by annotation":   {annotated(claim("1Gi", "", corev1.ClaimBound), "elastic"), annotated(claim("2Gi", "", corev1.ClaimBound), "elastic"), ""},
		"the same":        {claim("1Gi", "rigid", corev1.ClaimPending), claim("1Gi", "rigid", corev1.ClaimPending), ""},
		"less":            {claim("2Gi", "rigid", corev1.ClaimBound), claim("1Gi", "rigid", corev1.ClaimBound), ""},
		"not bound":       {claim("1Gi", "elastic", corev1.ClaimPending), claim("2Gi", "elastic", corev1.ClaimPending), unbound},
		"bound by itself": {claim("1Gi", "elastic", corev1.ClaimPending), claim("2Gi", "elastic", corev1.ClaimBound), unbound},
		"does not grow":   {claim("1Gi", "rigid", corev1.ClaimBound), claim("2Gi", "rigid", corev1.ClaimBound), fixed},
		"does not say":    {claim("1Gi", "silent", corev1.ClaimBound), claim("2Gi", "silent", corev1.ClaimBound), fixed},
		"no class":        {claim("1Gi", "", corev1.ClaimBound), claim("2Gi", "", corev1.ClaimBound), fixed},
		"class is gone":   {claim("1Gi", "gone", corev1.ClaimBound), claim("2Gi", "gone", corev1.ClaimBound), fixed},
		"another class":   {claim("1Gi", "rigid", corev1.ClaimBound), claim("2Gi", "elastic", corev1.ClaimBound), fixed},
	} {
		t.Run(name, func(t *testing.T) {
			err := validate(t, client, c.before, c.now, "")
			if (err == nil) != (c.want == "") || err != nil && !strings.HasSuffix(err.Error(), "is forbidden: "+c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err := validate(t, client, c.before, c.now, "status"); err != nil {
				t.Errorf("its status: %v", err)
			}
		})
	}
}

func TestUnreadableClassRefuses(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("get", "storageclasses", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("the store is away")
	})
	before, now := claim("1Gi", "elastic", corev1.ClaimBound), claim("2Gi", "elastic", corev1.ClaimBound)
	if err := validate(t, client, before, now, ""); err == nil || !strings.Contains(err.Error(), "the store is away") {
		t.Errorf("got %v", err)
	}
	if err := validate(t, client, &corev1.Pod{}, &corev1.Pod{}, ""); err != nil {
		t.Errorf("another kind: %v", err)
	}
}
