package serviceaccount

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/systemnamespaces"
)

func namespace(name string, phase corev1.NamespacePhase) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NamespaceStatus{Phase: phase}}
}

func TestReconcile(t *testing.T) {
	notFound := apierrors.NewNotFound(corev1.Resource("things"), "x")
	ending := apierrors.NewForbidden(corev1.Resource("serviceaccounts"), "default", errors.New("ending"))
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for _, tc := range []struct {
		name      string
		namespace *corev1.Namespace
		account   error
		create    error
		created   bool
		fails     bool
	}{
		{name: "missing", namespace: namespace("n", "Active"), account: notFound, created: true},
		{name: "there", namespace: namespace("n", "Active")},
		{name: "terminating", namespace: namespace("n", "Terminating"), account: notFound},
		{name: "no namespace", account: notFound},
		{name: "made by another", namespace: namespace("n", "Active"), account: notFound, create: apierrors.NewAlreadyExists(corev1.Resource("serviceaccounts"), "default"), created: true},
		{name: "ended meanwhile", namespace: namespace("n", "Active"), account: notFound, create: ending, created: true},
		{name: "refused", namespace: namespace("n", "Active"), account: notFound, create: errors.New("no"), created: true, fails: true},
		{name: "cache fails", namespace: namespace("n", "Active"), account: errors.New("no"), fails: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var created *corev1.ServiceAccount
			r := reconciler{
				namespace: func(string) (*corev1.Namespace, error) {
					if tc.namespace == nil {
						return nil, notFound
					}
					return tc.namespace, nil
				},
				account: func(string) (*corev1.ServiceAccount, error) { return &corev1.ServiceAccount{}, tc.account },
				create: func(_ context.Context, sa *corev1.ServiceAccount) error {
					created = sa
					return tc.create
				},
			}
			err := r.reconcile(t.Context(), "n")
			if (err != nil) != tc.fails || (created != nil) != tc.created {
				t.Errorf("created %v, error %v", created, err)
			}
			if created != nil && (created.Name != "default" || created.Namespace != "n") {
				t.Errorf("created %s/%s", created.Namespace, created.Name)
			}
		})
	}
}

func TestController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(namespace("ending", corev1.NamespaceTerminating))
		ctx, cancel := context.WithCancel(t.Context())
		factory := informers.NewSharedInformerFactory(client, 0)
		c := New(env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
		if c.Ready() == nil {
			t.Error("ready before it runs")
		}
		factory.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()

		for _, name := range append(systemnamespaces.Names(), "mine") {
			if _, err := client.CoreV1().Namespaces().Create(ctx, namespace(name, corev1.NamespaceActive), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if err := c.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		accounts := client.CoreV1().ServiceAccounts("mine")
		if _, err := accounts.Get(ctx, "default", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
		if err := accounts.Delete(ctx, "default", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := accounts.Get(ctx, "default", metav1.GetOptions{}); err != nil {
			t.Errorf("after its deletion: %v", err)
		}
		if _, err := client.CoreV1().ServiceAccounts("ending").Get(ctx, "default", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("in a terminating namespace: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
}
