package clusterroleaggregation

import (
	"context"
	"log/slog"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/run"
)

func role(name string, labels map[string]string, resources ...string) *rbacv1.ClusterRole {
	r := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	for _, res := range resources {
		r.Rules = append(r.Rules, rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{res}})
	}
	return r
}

func aggregated(name, key string, labels map[string]string, resources ...string) *rbacv1.ClusterRole {
	r := role(name, labels, resources...)
	r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{key: "true"}}}}
	return r
}

func resourcesOf(r *rbacv1.ClusterRole) string {
	out := ""
	for _, rule := range r.Rules {
		out += rule.Resources[0] + " "
	}
	return out
}

func TestReconcile(t *testing.T) {
	yes := map[string]string{"to-a": "true"}
	for name, tc := range map[string]struct {
		roles   []*rbacv1.ClusterRole
		want    string // rules written, in order
		written bool
	}{
		"collects in order of names, each rule once": {
			roles:   []*rbacv1.ClusterRole{aggregated("a", "to-a", nil), role("z", yes, "pods", "secrets"), role("b", yes, "pods")},
			want:    "pods secrets ",
			written: true,
		},
		"drops rules of roles that are gone": {
			roles:   []*rbacv1.ClusterRole{aggregated("a", "to-a", nil, "secrets", "pods"), role("b", yes, "pods")},
			want:    "pods ",
			written: true,
		},
		"drops everything when nothing matches": {
			roles:   []*rbacv1.ClusterRole{aggregated("a", "to-a", nil, "secrets")},
			written: true,
		},
		"does not select itself": {
			roles: []*rbacv1.ClusterRole{aggregated("a", "to-a", yes)},
		},
		"leaves a right one alone": {
			roles: []*rbacv1.ClusterRole{aggregated("a", "to-a", nil, "pods"), role("b", yes, "pods")},
		},
		"leaves one without a rule alone": {
			roles: []*rbacv1.ClusterRole{role("a", nil, "secrets"), role("b", yes, "pods")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got *rbacv1.ClusterRole
			r := reconciler{
				list: func() ([]*rbacv1.ClusterRole, error) { return tc.roles, nil },
				update: run.Commits(env.Env{}, func(_ context.Context, r *rbacv1.ClusterRole, _ metav1.UpdateOptions) (*rbacv1.ClusterRole, error) {
					got = r
					return r, nil
				}),
			}
			if err := r.reconcile(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			if (got != nil) != tc.written {
				t.Fatalf("written = %v, want %v", got != nil, tc.written)
			}
			if got != nil && resourcesOf(got) != tc.want {
				t.Errorf("rules = %q, want %q", resourcesOf(got), tc.want)
			}
		})
	}
}

// TestFollows checks that a chain of aggregated roles settles after a label change.
func TestFollows(t *testing.T) {
	client := fake.NewClientset(
		aggregated("admin", "to-admin", nil),
		aggregated("edit", "to-edit", map[string]string{"to-admin": "true"}),
		role("custom", nil, "widgets"),
	)
	factory := informers.NewSharedInformerFactory(client, 0)
	c := New(env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
	factory.Start(t.Context().Done())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	roles := client.RbacV1().ClusterRoles()
	if _, err := roles.Update(ctx, role("custom", map[string]string{"to-edit": "true"}, "widgets"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		admin, err := roles.Get(ctx, "admin", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if resourcesOf(admin) == "widgets " {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("rules of admin = %q, want those of custom through edit", resourcesOf(admin))
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
