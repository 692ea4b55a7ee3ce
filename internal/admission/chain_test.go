package admission_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	libadmission "k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/admission"
	"laterna.dev/laterna/internal/clock"
)

func TestChain(t *testing.T) {
	ending := metav1.Now()
	client := fake.NewClientset(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ending", DeletionTimestamp: &ending}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "default"}},
	)
	factory := informers.NewSharedInformerFactory(client, 0)
	chain, err := admission.NewChain(admission.Config{Client: client, Informers: factory, Authorizer: authorizerfactory.NewAlwaysDenyAuthorizer(), Clock: clock.Real(), Stored: func(schema.GroupResource) <-chan struct{} { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	factory.Start(ctx.Done())
	t.Cleanup(func() { cancel(); factory.Shutdown() })
	factory.WaitForCacheSync(ctx.Done())

	admit := func(namespace string, u user.Info) (*corev1.Pod, error) {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
		a := libadmission.NewAttributesRecord(pod, nil, corev1.SchemeGroupVersion.WithKind("Pod"), namespace, "p", corev1.SchemeGroupVersion.WithResource("pods"), "", libadmission.Create, &metav1.CreateOptions{}, false, u)
		if err := chain.Plugins.(libadmission.MutationInterface).Admit(t.Context(), a, nil); err != nil {
			return nil, err
		}
		return pod, chain.Plugins.(libadmission.ValidationInterface).Validate(t.Context(), a, nil)
	}
	ann := &user.DefaultInfo{Name: "ann"}
	pod, err := admit("n", ann)
	if err != nil {
		t.Fatal(err)
	}
	if s := pod.Spec; s.ServiceAccountName != "default" || len(s.Volumes) != 1 || *s.Priority != 0 || len(s.Tolerations) != 2 {
		t.Errorf("admitted as %+v", s)
	}
	if _, err := admit("missing", ann); !apierrors.IsNotFound(err) || err.Error() != `namespaces "missing" not found` {
		t.Errorf("into a missing namespace: %v", err)
	}
	if _, err := admit("ending", ann); !apierrors.IsForbidden(err) || !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		t.Errorf("into an ending namespace: %v", err)
	}
	if _, err := admit("n", &user.DefaultInfo{Name: "system:node:a", Groups: []string{"system:nodes"}}); !apierrors.IsForbidden(err) {
		t.Errorf("by a node: %v", err)
	}
}
