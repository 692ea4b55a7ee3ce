package rbac_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/authz/rbac"
)

func meta(namespace, name string, version int) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: strconv.Itoa(version)}
}

func reads(resource string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{resource}}}
}

func ref(kind, name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
}

func subject(kind, namespace, name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: kind, Namespace: namespace, Name: name}
}

// running returns an authorizer whose view holds objects.
func running(t testing.TB, objects ...runtime.Object) *rbac.Authorizer {
	t.Helper()
	a := rbac.New()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { a.Run(ctx, fake.NewClientset(objects...)) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	select {
	case <-a.Synced():
	case <-time.After(10 * time.Second):
		t.Fatal("not synced within ten seconds")
	}
	return a
}

func ask(t testing.TB, a *rbac.Authorizer, u user.Info, namespace, resource string) (bool, string) {
	t.Helper()
	decision, reason, err := a.Authorize(context.Background(), authorizer.AttributesRecord{
		User: u, Verb: "get", Namespace: namespace, Resource: resource, Name: "x", ResourceRequest: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return decision == authorizer.DecisionAllow, reason
}

func someone(name string, groups ...string) user.Info {
	return &user.DefaultInfo{Name: name, Groups: groups}
}

func TestAuthorize(t *testing.T) {
	robot := "system:serviceaccount:n:robot"
	a := running(t,
		&rbacv1.ClusterRole{ObjectMeta: meta("", "cluster-reader", 1), Rules: reads("pods")},
		&rbacv1.Role{ObjectMeta: meta("n", "reader", 1), Rules: reads("secrets")},
		&rbacv1.ClusterRoleBinding{ObjectMeta: meta("", "everywhere", 1), RoleRef: ref("ClusterRole", "cluster-reader"),
			Subjects: []rbacv1.Subject{subject("Group", "", "ops"), subject("User", "", "ann"), subject("ServiceAccount", "n", "robot")}},
		&rbacv1.RoleBinding{ObjectMeta: meta("n", "here", 1), RoleRef: ref("Role", "reader"),
			Subjects: []rbacv1.Subject{subject("User", "", "bob"), subject("ServiceAccount", "", "robot")}},
		&rbacv1.RoleBinding{ObjectMeta: meta("m", "cluster-role-here", 1), RoleRef: ref("ClusterRole", "cluster-reader"),
			Subjects: []rbacv1.Subject{subject("User", "", "bob")}},
		&rbacv1.RoleBinding{ObjectMeta: meta("m", "dangling", 1), RoleRef: ref("Role", "reader"),
			Subjects: []rbacv1.Subject{subject("User", "", "eve")}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: meta("", "dangling", 1), RoleRef: ref("ClusterRole", "nothing"),
			Subjects: []rbacv1.Subject{subject("User", "", "eve")}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: meta("", "homeless", 1), RoleRef: ref("ClusterRole", "cluster-reader"),
			Subjects: []rbacv1.Subject{subject("ServiceAccount", "", "homeless")}},
	)
	for name, tc := range map[string]struct {
		user                user.Info
		namespace, resource string
		allowed             bool
		reason              string
	}{
		"cluster-wide by user":                {someone("ann"), "any", "pods", true, `RBAC: allowed by ClusterRoleBinding "everywhere" of ClusterRole "cluster-reader" to User "ann"`},
		"cluster-wide by group":               {someone("joe", "devs", "ops"), "", "pods", true, `RBAC: allowed by ClusterRoleBinding "everywhere" of ClusterRole "cluster-reader" to Group "ops"`},
		"cluster-wide by service account":     {someone(robot), "any", "pods", true, `RBAC: allowed by ClusterRoleBinding "everywhere" of ClusterRole "cluster-reader" to ServiceAccount "robot/n"`},
		"in the namespace by user":            {someone("bob"), "n", "secrets", true, `RBAC: allowed by RoleBinding "here/n" of Role "reader" to User "bob"`},
		"service account of the same binding": {someone(robot), "n", "secrets", true, `RBAC: allowed by RoleBinding "here/n" of Role "reader" to ServiceAccount "robot/n"`},
		"cluster role in one namespace":       {someone("bob"), "m", "pods", true, `RBAC: allowed by RoleBinding "cluster-role-here/m" of ClusterRole "cluster-reader" to User "bob"`},
		"not in another namespace":            {someone("bob"), "o", "pods", false, ""},
		"not cluster-wide":                    {someone("bob"), "", "secrets", false, ""},
		"not another resource":                {someone("ann"), "n", "secrets", false, ""},
		"a group is not a user":               {someone("ops"), "n", "pods", false, ""},
		"a user is not a group":               {someone("x", "ann"), "n", "pods", false, ""},
		"account of the same name elsewhere":  {someone("system:serviceaccount:m:robot"), "n", "secrets", false, ""},
		"nobody":                              {someone("system:anonymous", "system:unauthenticated"), "n", "pods", false, ""},
		"missing roles are named": {someone("eve"), "m", "pods", false,
			`RBAC: [clusterrole.rbac.authorization.k8s.io "nothing" not found, role.rbac.authorization.k8s.io "reader" not found]`},
		"one missing role":                      {someone("eve"), "", "pods", false, `RBAC: clusterrole.rbac.authorization.k8s.io "nothing" not found`},
		"a cluster binding without a namespace": {someone("system:serviceaccount::homeless"), "", "pods", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			allowed, reason := ask(t, a, tc.user, tc.namespace, tc.resource)
			if allowed != tc.allowed || reason != tc.reason {
				t.Errorf("got %v %q,\nwant %v %q", allowed, reason, tc.allowed, tc.reason)
			}
		})
	}
}

func TestRulesFor(t *testing.T) {
	a := running(t,
		&rbacv1.ClusterRole{ObjectMeta: meta("", "discovery", 1), Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/api"}}}},
		&rbacv1.Role{ObjectMeta: meta("n", "reader", 1), Rules: reads("secrets")},
		&rbacv1.ClusterRoleBinding{ObjectMeta: meta("", "d", 1), RoleRef: ref("ClusterRole", "discovery"),
			Subjects: []rbacv1.Subject{subject("User", "", "ann"), subject("Group", "", "ops")}},
		&rbacv1.RoleBinding{ObjectMeta: meta("n", "r", 1), RoleRef: ref("Role", "reader"), Subjects: []rbacv1.Subject{subject("User", "", "ann")}},
		&rbacv1.RoleBinding{ObjectMeta: meta("n", "s", 1), RoleRef: ref("Role", "gone"), Subjects: []rbacv1.Subject{subject("User", "", "ann")}},
	)
	resources, paths, incomplete, err := a.RulesFor(t.Context(), someone("ann", "ops"), "n")
	if len(resources) != 1 || resources[0].GetResources()[0] != "secrets" {
		t.Errorf("resource rules = %v, want one for secrets", resources)
	}
	if len(paths) != 1 {
		t.Errorf("path rules = %v, want one although two subjects match", paths)
	}
	if incomplete || err == nil || !strings.Contains(err.Error(), `"gone" not found`) {
		t.Errorf("incomplete = %v, err = %v, want false and the missing role", incomplete, err)
	}
}

// TestWritesCountAtOnce checks that news of this server's own writes win over older
// news from the watch, and lose against newer ones.
func TestWritesCountAtOnce(t *testing.T) {
	role := &rbacv1.ClusterRole{ObjectMeta: meta("", "reader", 5), Rules: reads("pods")}
	binding := func(version int, to string) *rbacv1.ClusterRoleBinding {
		return &rbacv1.ClusterRoleBinding{ObjectMeta: meta("", "b", version), RoleRef: ref("ClusterRole", "reader"),
			Subjects: []rbacv1.Subject{subject("User", "", to)}}
	}
	a := running(t, role)
	check := func(when, who string, want bool) {
		t.Helper()
		if got, _ := ask(t, a, someone(who), "n", "pods"); got != want {
			t.Errorf("%s: %s allowed = %v, want %v", when, who, got, want)
		}
	}
	check("before", "ann", false)
	a.Written(binding(10, "ann"))
	check("after the write", "ann", true)
	a.Written(binding(12, "bob"))
	check("after the update", "ann", false)
	check("after the update", "bob", true)
	a.Written(binding(11, "ann"))
	check("after stale news", "ann", false)
	a.Deleted(binding(14, "bob"))
	check("after the deletion", "bob", false)
	a.Written(binding(13, "bob"))
	check("after stale news of a deleted one", "bob", false)
	a.Written(binding(14, "bob"))
	check("after news of the state that was deleted", "bob", false)
	a.Written(binding(20, "ann"))
	check("after it was made again", "ann", true)
	a.Deleted(binding(14, "bob"))
	check("after a stale deletion", "ann", true)
	a.Deleted(&rbacv1.ClusterRole{ObjectMeta: meta("", "reader", 21)})
	check("after the role was deleted", "ann", false)
}

// TestFollowsTheWatch checks what other servers write.
func TestFollowsTheWatch(t *testing.T) {
	client := fake.NewClientset(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: reads("pods")})
	a := rbac.New()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { a.Run(ctx, client) })
	defer func() { cancel(); wg.Wait() }()
	<-a.Synced()
	bindings := client.RbacV1().ClusterRoleBindings()
	b := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, RoleRef: ref("ClusterRole", "reader"), Subjects: []rbacv1.Subject{subject("User", "", "ann")}}
	if _, err := bindings.Create(ctx, b, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	become := func(want bool) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			got, _ := ask(t, a, someone("ann"), "n", "pods")
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("allowed = %v for five seconds, want %v", got, want)
			}
		}
	}
	become(true)
	if err := bindings.Delete(ctx, "b", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	become(false)
}

func TestWaitsForTheFirstListing(t *testing.T) {
	a := rbac.New()
	a.Written(&rbacv1.ClusterRole{ObjectMeta: meta("", "r", 1), Rules: reads("pods")})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	decision, _, err := a.Authorize(ctx, authorizer.AttributesRecord{User: someone("ann"), Verb: "get", Resource: "pods", ResourceRequest: true})
	if decision == authorizer.DecisionAllow || err == nil {
		t.Errorf("decision = %v, err = %v, want an error", decision, err)
	}
	if _, err := a.RoleRules(ctx, ref("ClusterRole", "r"), ""); err == nil {
		t.Error("rules of a role without a listing, want an error")
	}
}

func TestConcurrentUse(t *testing.T) {
	a := running(t, &rbacv1.ClusterRole{ObjectMeta: meta("", "reader", 1), Rules: reads("pods")})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				b := &rbacv1.RoleBinding{ObjectMeta: meta("n", fmt.Sprint("b", i%7), 10+w*1000+i), RoleRef: ref("ClusterRole", "reader"),
					Subjects: []rbacv1.Subject{subject("User", "", fmt.Sprint("u", w))}}
				a.Written(b)
				ask(t, a, someone(fmt.Sprint("u", w)), "n", "pods")
				if i%3 == 0 {
					b.ResourceVersion = strconv.Itoa(11 + w*1000 + i)
					a.Deleted(b)
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkAuthorize decides among ten thousand bindings in a hundred namespaces.
func BenchmarkAuthorize(b *testing.B) {
	var objects []runtime.Object
	for i := range 100 {
		objects = append(objects, &rbacv1.ClusterRole{ObjectMeta: meta("", fmt.Sprint("r", i), 1), Rules: append(reads("pods"), reads("secrets")...)})
	}
	a := running(b, objects...)
	for i := range 10000 {
		a.Written(&rbacv1.RoleBinding{ObjectMeta: meta(fmt.Sprint("n", i%100), fmt.Sprint("b", i), i+1), RoleRef: ref("ClusterRole", fmt.Sprint("r", i%100)),
			Subjects: []rbacv1.Subject{subject("User", "", fmt.Sprint("u", i%1000)), subject("Group", "", fmt.Sprint("g", i%10))}})
	}
	for name, u := range map[string]user.Info{"allowed": someone("u42", "g9"), "refused": someone("nobody", "a", "b", "c")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ask(b, a, u, "n42", "secrets")
			}
		})
	}
}
