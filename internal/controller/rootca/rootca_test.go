package rootca

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
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/systemnamespaces"
)

func namespace(name string, phase corev1.NamespacePhase) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NamespaceStatus{Phase: phase}}
}

func TestReconcile(t *testing.T) {
	notFound := apierrors.NewNotFound(corev1.Resource("things"), "x")
	good := reconciler{bundle: "pem"}.wanted("n")
	with := func(change func(*corev1.ConfigMap)) *corev1.ConfigMap {
		c := good.DeepCopy()
		change(c)
		return c
	}
	for _, tc := range []struct {
		name    string
		phase   corev1.NamespacePhase
		current *corev1.ConfigMap
		want    string
	}{
		{"missing", "Active", nil, "create"},
		{"good", "Active", good, ""},
		{"labelled", "Active", with(func(c *corev1.ConfigMap) { c.Labels = map[string]string{"a": "b"} }), ""},
		{"described otherwise", "Active", with(func(c *corev1.ConfigMap) { c.Annotations[describedBy] = "mine" }), ""},
		{"not described", "Active", with(func(c *corev1.ConfigMap) { c.Annotations = nil }), "update"},
		{"changed", "Active", with(func(c *corev1.ConfigMap) { c.Data[key] = "other" }), "update"},
		{"added to", "Active", with(func(c *corev1.ConfigMap) { c.Data["more"] = "x" }), "update"},
		{"added bytes", "Active", with(func(c *corev1.ConfigMap) { c.BinaryData = map[string][]byte{"more": nil} }), "update"},
		{"changed and frozen", "Active", with(func(c *corev1.ConfigMap) { c.Data, c.Immutable = nil, ptr.To(true) }), "remove"},
		{"terminating", "Terminating", nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			did := ""
			note := func(what string) func(context.Context, *corev1.ConfigMap) error {
				return func(_ context.Context, c *corev1.ConfigMap) error {
					did += what
					if what != "remove" && (c.Data[key] != "pem" || len(c.Data) != 1 || len(c.BinaryData) != 0 || c.Annotations[describedBy] == "" || c.Name != name) {
						t.Errorf("%s of %+v", what, c)
					}
					return nil
				}
			}
			r := reconciler{
				bundle:    "pem",
				namespace: func(string) (*corev1.Namespace, error) { return namespace("n", tc.phase), nil },
				current: func(string) (*corev1.ConfigMap, error) {
					if tc.current == nil {
						return nil, notFound
					}
					return tc.current, nil
				},
				create: note("create"), remove: note("remove"),
				update: run.Commits(env.Env{}, func(ctx context.Context, c *corev1.ConfigMap, _ metav1.UpdateOptions) (*corev1.ConfigMap, error) {
					return c, note("update")(ctx, c)
				}),
			}
			if err := r.reconcile(t.Context(), "n"); err != nil || did != tc.want {
				t.Errorf("did %q, want %q, error %v", did, tc.want, err)
			}
		})
	}
}

func TestReconcileFailures(t *testing.T) {
	refuse := func(context.Context, *corev1.ConfigMap) error { return errors.New("no") }
	r := reconciler{
		namespace: func(string) (*corev1.Namespace, error) { return namespace("n", "Active"), nil },
		current: func(string) (*corev1.ConfigMap, error) {
			return nil, apierrors.NewNotFound(corev1.Resource("configmaps"), name)
		},
		create: refuse,
	}
	if err := r.reconcile(t.Context(), "n"); err == nil {
		t.Error("a refused creation is not tried again")
	}
	r.create = func(context.Context, *corev1.ConfigMap) error {
		return apierrors.NewAlreadyExists(corev1.Resource("configmaps"), name)
	}
	if err := r.reconcile(t.Context(), "n"); err != nil {
		t.Errorf("an object that exists is created again: %v", err)
	}
	r.namespace = func(string) (*corev1.Namespace, error) {
		return nil, apierrors.NewNotFound(corev1.Resource("namespaces"), "n")
	}
	r.create = refuse
	if err := r.reconcile(t.Context(), "n"); err != nil {
		t.Errorf("a namespace that is gone: %v", err)
	}
}

func TestController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		ctx, cancel := context.WithCancel(t.Context())
		factory := informers.NewSharedInformerFactory(client, 0)
		c := New(Config{Env: env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)}, Bundle: []byte("pem")})
		factory.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		for _, n := range systemnamespaces.Names() {
			if _, err := client.CoreV1().Namespaces().Create(ctx, namespace(n, corev1.NamespaceActive), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if err := c.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		configs := client.CoreV1().ConfigMaps("default")
		check := func(when string) {
			t.Helper()
			synctest.Wait()
			if got, err := configs.Get(ctx, name, metav1.GetOptions{}); err != nil || got.Data[key] != "pem" {
				t.Errorf("%s: %+v, %v", when, got, err)
			}
		}
		check("at first")
		spoilt := reconciler{bundle: "other"}.wanted("default")
		if _, err := configs.Update(ctx, spoilt, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		check("after a change")
		if err := configs.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		check("after a deletion")
		frozen := reconciler{bundle: "other"}.wanted("default")
		frozen.Immutable = ptr.To(true)
		if _, err := configs.Update(ctx, frozen, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		check("after a change for good")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
}
