package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/apiserver"
)

// user returns a client of somebody.
func (s *system) user(name string, groups ...string) kubernetes.Interface {
	s.t.Helper()
	c, err := kubernetes.NewForConfig(s.config(name, groups...))
	must(s.t, err)
	return c
}

func clusterRole(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
}

func ruleOf(verbs, resources string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: strings.Fields(verbs), APIGroups: []string{"", rbacv1.GroupName}, Resources: strings.Fields(resources)}
}

func roleBinding(name, role, user string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: "User", Name: user}},
	}
}

// TestAccess checks who may do what in a running system.
func TestAccess(t *testing.T) {
	s := boot(t, t.TempDir())
	t.Run("writes count at once", s.writesCountAtOnce)
	t.Run("nobody grants what they lack", s.nobodyEscalates)
	t.Run("reviews", s.accessReviews)
	t.Run("refusals", s.refusals)
	t.Run("nodes", s.nodesKeepToThemselves)
	t.Run("tables", s.roleTables)
}

// TestRolesOfControllersAreWrittenFirst keeps the start short: controllers wait for
// their roles, and need not wait for all others.
func TestRolesOfControllersAreWrittenFirst(t *testing.T) {
	s := boot(t, t.TempDir())
	last, first := 0, math.MaxInt
	note := func(m metav1.Object) {
		version, err := strconv.Atoi(m.GetResourceVersion())
		must(t, err)
		if strings.HasPrefix(m.GetName(), "system:controller:") || m.GetName() == "system:kube-scheduler" {
			last = max(last, version)
		} else {
			first = min(first, version)
		}
	}
	roles, err := s.admin().RbacV1().ClusterRoles().List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for i := range roles.Items {
		note(&roles.Items[i])
	}
	bindings, err := s.admin().RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for i := range bindings.Items {
		note(&bindings.Items[i])
	}
	if last == 0 || first == math.MaxInt || last >= first {
		t.Errorf("the last role or binding of a controller has version %d, the first of another %d", last, first)
	}
}

func (s *system) writesCountAtOnce(t *testing.T) {
	ctx, admin, ann := t.Context(), s.admin(), s.user("ann")
	configs, bindings := ann.CoreV1().ConfigMaps("default"), admin.RbacV1().RoleBindings("default")
	_, err := admin.RbacV1().ClusterRoles().Create(ctx, clusterRole("reader", ruleOf("list", "configmaps")), metav1.CreateOptions{})
	must(t, err)
	list := func() error {
		_, err := configs.List(ctx, metav1.ListOptions{})
		return err
	}
	for i := range 50 {
		_, err := bindings.Create(ctx, roleBinding("b", "reader", "ann"), metav1.CreateOptions{})
		must(t, err)
		if err := list(); err != nil {
			t.Fatalf("round %d: right after the binding was made: %v", i, err)
		}
		must(t, bindings.Delete(ctx, "b", metav1.DeleteOptions{}))
		if err := list(); !apierrors.IsForbidden(err) {
			t.Fatalf("round %d: right after the binding was deleted: %v, want Forbidden", i, err)
		}
	}
	if _, err := bindings.Create(ctx, roleBinding("dry", "reader", "ann"), metav1.CreateOptions{DryRun: []string{"All"}}); err != nil {
		t.Fatal(err)
	}
	if err := list(); !apierrors.IsForbidden(err) {
		t.Errorf("a binding that was only tried counts: %v", err)
	}
	_, err = bindings.Create(ctx, roleBinding("kept", "reader", "ann"), metav1.CreateOptions{})
	must(t, err)
	must(t, bindings.Delete(ctx, "kept", metav1.DeleteOptions{DryRun: []string{"All"}}))
	if err := list(); err != nil {
		t.Errorf("a deletion that was only tried counts: %v", err)
	}
	_, err = admin.RbacV1().ClusterRoles().Update(ctx, clusterRole("reader", ruleOf("get", "configmaps")), metav1.UpdateOptions{})
	must(t, err)
	if err := list(); !apierrors.IsForbidden(err) {
		t.Errorf("right after the role lost the rule: %v, want Forbidden", err)
	}
	must(t, bindings.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	if _, err := configs.Get(ctx, "x", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("right after all bindings were deleted: %v, want Forbidden", err)
	}
}

func (s *system) nobodyEscalates(t *testing.T) {
	ctx, admin := t.Context(), s.admin()
	_, err := admin.RbacV1().ClusterRoles().Create(ctx, clusterRole("granter", ruleOf("get list create update patch", "clusterroles clusterrolebindings roles rolebindings"), ruleOf("get", "pods")), metav1.CreateOptions{})
	must(t, err)
	_, err = admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "granter"},
		RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "granter"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "gil"}}}, metav1.CreateOptions{})
	must(t, err)
	gil := s.user("gil").RbacV1()
	_, err = gil.Roles("default").Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "mine"}, Rules: []rbacv1.PolicyRule{ruleOf("get", "pods")}}, metav1.CreateOptions{})
	must(t, err)
	const text = `user "gil" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:`
	role := func(name string) *rbacv1.Role {
		return &rbacv1.Role{TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"}, ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{ruleOf("get", "secrets")}}
	}
	const rules = `{"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["secrets"]}]}`
	apply := func(name string) error {
		body := `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"` + name + `"},` + rules[1:]
		_, err := gil.Roles("default").Patch(ctx, name, types.ApplyPatchType, []byte(body), metav1.PatchOptions{FieldManager: "gil", Force: ptr.To(true)})
		return err
	}
	for name, try := range map[string]func() error{
		"create": func() error {
			_, err := gil.Roles("default").Create(ctx, role("r"), metav1.CreateOptions{})
			return err
		},
		"update": func() error {
			_, err := gil.Roles("default").Update(ctx, role("mine"), metav1.UpdateOptions{})
			return err
		},
		"create by PUT": func() error {
			_, err := gil.Roles("default").Update(ctx, role("put"), metav1.UpdateOptions{})
			return err
		},
		"merge patch": func() error {
			_, err := gil.Roles("default").Patch(ctx, "mine", types.MergePatchType, []byte(rules), metav1.PatchOptions{})
			return err
		},
		"apply":           func() error { return apply("mine") },
		"create by apply": func() error { return apply("applied") },
		"cluster role": func() error {
			_, err := gil.ClusterRoles().Create(ctx, clusterRole("r", ruleOf("get", "secrets")), metav1.CreateOptions{})
			return err
		},
		"binding": func() error {
			_, err := gil.RoleBindings("default").Create(ctx, roleBinding("b", "cluster-admin", "gil"), metav1.CreateOptions{})
			return err
		},
		"cluster binding": func() error {
			_, err := gil.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"},
				RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster-admin"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "gil"}}}, metav1.CreateOptions{})
			return err
		},
	} {
		if err := try(); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want Forbidden: %s", name, err, text)
		}
	}
	aggregated := clusterRole("a")
	aggregated.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{}}}
	if _, err := gil.ClusterRoles().Create(ctx, aggregated, metav1.CreateOptions{}); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "must have cluster-admin privileges to use the aggregationRule") {
		t.Errorf("aggregation rule: %v", err)
	}
	b, err := admin.RbacV1().RoleBindings("default").Create(ctx, roleBinding("fixed", "view", "ann"), metav1.CreateOptions{})
	must(t, err)
	b.RoleRef.Name = "admin"
	if _, err := admin.RbacV1().RoleBindings("default").Update(ctx, b, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "cannot change roleRef") {
		t.Errorf("changing the role of a binding: %v", err)
	}
	if b.RoleRef.APIGroup != rbacv1.GroupName || b.Subjects[0].APIGroup != rbacv1.GroupName {
		t.Errorf("defaults of a binding: %+v %+v", b.RoleRef, b.Subjects)
	}
}

func (s *system) accessReviews(t *testing.T) {
	ctx, admin := t.Context(), s.admin()
	_, err := admin.RbacV1().RoleBindings("default").Create(ctx, roleBinding("viv-views", "view", "viv"), metav1.CreateOptions{})
	must(t, err)
	viv := s.user("viv").AuthorizationV1()
	can := func(verb, namespace, resource string) (bool, string) {
		r, err := viv.SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Namespace: namespace, Resource: resource}}}, metav1.CreateOptions{})
		must(t, err)
		return r.Status.Allowed, r.Status.Reason
	}
	if ok, reason := can("get", "default", "pods"); !ok || reason != `RBAC: allowed by RoleBinding "viv-views/default" of ClusterRole "view" to User "viv"` {
		t.Errorf("get pods: %v %q", ok, reason)
	}
	for _, no := range [][3]string{{"get", "default", "secrets"}, {"get", "kube-system", "pods"}, {"create", "default", "pods"}} {
		if ok, reason := can(no[0], no[1], no[2]); ok {
			t.Errorf("%v: allowed, %q", no, reason)
		}
	}
	rules, err := viv.SelfSubjectRulesReviews().Create(ctx, &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"}}, metav1.CreateOptions{})
	must(t, err)
	if rules.Status.Incomplete || len(rules.Status.ResourceRules) < 10 || len(rules.Status.NonResourceRules) < 2 {
		t.Errorf("rules: incomplete %v, %d for resources, %d for paths", rules.Status.Incomplete, len(rules.Status.ResourceRules), len(rules.Status.NonResourceRules))
	}
	if _, err := viv.SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{}, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("asking about others: %v, want Forbidden", err)
	}
	review, err := admin.AuthorizationV1().LocalSubjectAccessReviews("default").Create(ctx, &authorizationv1.LocalSubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "viv", ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "default", Verb: "list", Resource: "configmaps"}}}, metav1.CreateOptions{})
	if err != nil || !review.Status.Allowed {
		t.Errorf("local review: %v %+v", err, review)
	}
}

func (s *system) refusals(t *testing.T) {
	for path, want := range map[string]int{
		"/version": 200, "/readyz": 200, "/livez": 200, "/.well-known/openid-configuration": 200, "/openid/v1/jwks": 200,
		"/api": 403, "/metrics": 403, "/api/v1/namespaces/default/pods": 403, "/openapi/v2": 403, "/debug/pprof/": 403,
	} {
		if code, body := s.fetch(s.insecure(), http.MethodGet, path, nil); code != want {
			t.Errorf("GET %s by nobody: %d %s, want %d", path, code, body, want)
		}
	}
	_, err := s.user("noone").CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	if want := `secrets is forbidden: User "noone" cannot list resource "secrets" in API group "" in the namespace "default"`; err == nil || err.Error() != want {
		t.Errorf("err = %v\nwant %s", err, want)
	}
	if _, err := s.user("noone").Discovery().RESTClient().Get().AbsPath("/api").DoRaw(t.Context()); err != nil {
		t.Errorf("discovery for somebody: %v", err)
	}
}

// bound creates an object and a pod on a node that uses it.
func (s *system) bound(t *testing.T, name, node string) *corev1.Pod {
	t.Helper()
	ctx, core := t.Context(), s.admin().CoreV1()
	_, err := core.Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(t, err)
	pod, err := core.Pods("default").Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "c", Image: "i"}},
		Volumes: []corev1.Volume{
			{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}},
			{Name: "t", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "t", Audience: "vault"}}}}}},
		},
	}}, metav1.CreateOptions{})
	must(t, err)
	must(t, core.Pods("default").Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: name, UID: pod.UID}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}, metav1.CreateOptions{}))
	return pod
}

func (s *system) nodesKeepToThemselves(t *testing.T) {
	ctx, admin := t.Context(), s.admin()
	_, err := admin.CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	a, b := s.user("system:node:a", "system:nodes").CoreV1(), s.user("system:node:b", "system:nodes").CoreV1()
	for _, name := range []string{"a", "b"} {
		_, err := s.user("system:node:"+name, "system:nodes").CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		must(t, err)
	}
	for i := range 20 {
		name := fmt.Sprint("fresh", i)
		pod := s.bound(t, name, "a")
		if _, err := a.Secrets("default").Get(ctx, name, metav1.GetOptions{}); err != nil {
			t.Fatalf("right after the binding: %v", err)
		}
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"vault"},
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: name, UID: pod.UID}}}
		if _, err := a.ServiceAccounts("default").CreateToken(ctx, "default", request, metav1.CreateOptions{}); err != nil {
			t.Fatalf("token right after the binding: %v", err)
		}
	}
	theirs := s.bound(t, "theirs", "b")
	if _, err := b.Secrets("default").Get(ctx, "theirs", metav1.GetOptions{}); err != nil {
		t.Errorf("b's own secret: %v", err)
	}
	for name, try := range map[string]func() error{
		"another's secret": func() error { _, err := a.Secrets("default").Get(ctx, "theirs", metav1.GetOptions{}); return err },
		"all secrets":      func() error { _, err := a.Secrets("default").List(ctx, metav1.ListOptions{}); return err },
		"watch of all": func() error {
			w, err := a.Secrets("").Watch(ctx, metav1.ListOptions{})
			if err == nil {
				w.Stop()
			}
			return err
		},
		"another's pods": func() error {
			_, err := a.Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=b"})
			return err
		},
		"all pods":       func() error { _, err := a.Pods("").List(ctx, metav1.ListOptions{}); return err },
		"another's node": func() error { _, err := a.Nodes().Get(ctx, "b", metav1.GetOptions{}); return err },
		"making another": func() error {
			_, err := a.Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "c"}}, metav1.CreateOptions{})
			return err
		},
		"deleting another": func() error { return a.Pods("default").Delete(ctx, "theirs", metav1.DeleteOptions{}) },
		"token for another's pod": func() error {
			_, err := a.ServiceAccounts("default").CreateToken(ctx, "default", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"vault"},
				BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: "theirs", UID: theirs.UID}}}, metav1.CreateOptions{})
			return err
		},
		"token for another audience": func() error {
			pod, err := admin.CoreV1().Pods("default").Get(ctx, "fresh0", metav1.GetOptions{})
			must(t, err)
			_, err = a.ServiceAccounts("default").CreateToken(ctx, "default", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"sts"},
				BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: "fresh0", UID: pod.UID}}}, metav1.CreateOptions{})
			return err
		},
		"status of another's pod": func() error {
			_, err := a.Pods("default").Patch(ctx, "theirs", types.MergePatchType, []byte(`{"status":{"phase":"Failed"}}`), metav1.PatchOptions{}, "status")
			return err
		},
		"a label that steers pods": func() error {
			_, err := a.Nodes().Patch(ctx, "a", types.MergePatchType, []byte(`{"metadata":{"labels":{"node-restriction.kubernetes.io/x":"y"}}}`), metav1.PatchOptions{})
			return err
		},
		"a role": func() error {
			_, err := s.user("system:node:a", "system:nodes").RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{})
			return err
		},
	} {
		if err := try(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want Forbidden", name, err)
		}
	}
	if _, err := a.Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=a"}); err != nil {
		t.Errorf("own pods: %v", err)
	}
}

func (s *system) roleTables(t *testing.T) {
	c, err := rest.HTTPClientFor(s.config("admin", "system:masters"))
	must(t, err)
	for path, want := range map[string]string{
		"/apis/rbac.authorization.k8s.io/v1/clusterroles/view":                                                                             `"cells":["view","20`,
		"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:kube-dns":                                                           `"","","kube-system/kube-dns"]`,
		"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:public-info-viewer":                                                 `"cells":["system:public-info-viewer","ClusterRole/system:public-info-viewer","`,
		"/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings/system::leader-locking-kube-scheduler?includeObject=None":  `"Role/system::leader-locking-kube-scheduler"`,
		"/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles/extension-apiserver-authentication-reader?includeObject=None&x=y": `"name":"Created At"`,
	} {
		code, body := s.fetch(c, http.MethodGet, path, io.Reader(nil), "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
		if code != 200 || !strings.Contains(string(body), want) {
			t.Errorf("GET %s: %d %s\nwant %s", path, code, body, want)
		}
	}
}

// TestDefaultRolesAreKept starts a system again and again on the same store.
func TestDefaultRolesAreKept(t *testing.T) {
	dir := t.TempDir()
	versions := func(c kubernetes.Interface) map[string]string {
		out := map[string]string{}
		roles, err := c.RbacV1().ClusterRoles().List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes.io/bootstrapping=rbac-defaults"})
		must(t, err)
		for _, r := range roles.Items {
			out["role "+r.Name] = r.ResourceVersion
		}
		bindings, err := c.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
		must(t, err)
		for _, b := range bindings.Items {
			out["binding "+b.Name] = b.ResourceVersion
		}
		return out
	}
	const open = "binding laterna.dev:public-service-account-issuer-discovery"
	var first map[string]string
	t.Run("first start", func(t *testing.T) {
		first = versions(boot(t, dir).admin())
		if len(first) < 40 || first[open] == "" {
			t.Errorf("%d roles and bindings, public discovery %q", len(first), first[open])
		}
	})
	t.Run("second start changes nothing", func(t *testing.T) {
		c := boot(t, dir).admin()
		for name, version := range versions(c) {
			if first[name] != version {
				t.Errorf("%s: version %s, was %q", name, version, first[name])
			}
		}
		must(t, damage(t.Context(), c))
	})
	t.Run("third start repairs", func(t *testing.T) {
		s := boot(t, dir, func(c *apiserver.Config) { c.Tokens.PublicDiscovery = false })
		roles := s.admin().RbacV1().ClusterRoles()
		discovery, err := roles.Get(t.Context(), "system:discovery", metav1.GetOptions{})
		must(t, err)
		if len(discovery.Rules) != 2 || discovery.Rules[0].Resources[0] != "pods" || discovery.Labels["mine"] != "x" {
			t.Errorf("role that lacked its rule and had another: %+v %v", discovery.Rules, discovery.Labels)
		}
		basic, err := roles.Get(t.Context(), "system:basic-user", metav1.GetOptions{})
		must(t, err)
		if len(basic.Rules) != 0 {
			t.Errorf("role that asked to be left alone: %+v", basic.Rules)
		}
		binding, err := s.admin().RbacV1().ClusterRoleBindings().Get(t.Context(), "system:kube-dns", metav1.GetOptions{})
		must(t, err)
		if binding.RoleRef.Name != "system:kube-dns" || len(binding.Subjects) != 1 {
			t.Errorf("binding of another role: %+v", binding)
		}
		after := versions(s.admin())
		if after[open] != "" {
			t.Error("public discovery is still open")
		}
		if after["role cluster-admin"] == "" || after["role cluster-admin"] == first["role cluster-admin"] {
			t.Errorf("role that was deleted: version %q, was %q", after["role cluster-admin"], first["role cluster-admin"])
		}
		if code, _ := s.fetch(s.insecure(), http.MethodGet, "/openid/v1/jwks", nil); code != 403 {
			t.Errorf("key set for nobody: %d, want 403", code)
		}
	})
}

// damage changes default roles in the ways that the next start must deal with.
func damage(ctx context.Context, c kubernetes.Interface) error {
	roles, bindings := c.RbacV1().ClusterRoles(), c.RbacV1().ClusterRoleBindings()
	_, err1 := roles.Patch(ctx, "system:discovery", types.MergePatchType, []byte(`{"metadata":{"labels":{"mine":"x"}},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]}`), metav1.PatchOptions{})
	_, err2 := roles.Patch(ctx, "system:basic-user", types.MergePatchType, []byte(`{"metadata":{"annotations":{"rbac.authorization.kubernetes.io/autoupdate":"false"}},"rules":[]}`), metav1.PatchOptions{})
	err3 := roles.Delete(ctx, "cluster-admin", metav1.DeleteOptions{})
	err4 := bindings.Delete(ctx, "system:kube-dns", metav1.DeleteOptions{})
	_, err5 := bindings.Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "system:kube-dns"},
		RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "view"}}, metav1.CreateOptions{})
	return errors.Join(err1, err2, err3, err4, err5)
}
