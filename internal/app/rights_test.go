package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	configv1 "laterna.dev/laterna/api/config/v1"
	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/scheduler"
	"laterna.dev/laterna/internal/controller/testclock"
)

// everything is logged, so that the log tells who has used which right.
const auditEverything = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"

// world is a server with its controllers, whose wall time runs two hundred times as fast.
type world struct {
	*testing.T
	control *controlPlane
	system  *system
	admin   kubernetes.Interface
	rest    *rest.Config
	log     string
}

// begin starts a system without a node that ends with the test.
func begin(t *testing.T) *world {
	t.Helper()
	dir := open(t)
	config := Default()
	config.DataDir, config.TestClock, config.Node.Enabled, config.Node.Name = dir.Path, true, false, "n"
	config.Tokens.Legacy, config.Tokens.LegacyCleanUpPeriod.Duration = true, 48*time.Hour
	config.Tokens.SigningAlgorithm = "ES256"
	config.Audit.PolicyFile, config.Audit.LogPath = filepath.Join(t.TempDir(), "policy"), filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(config.Audit.PolicyFile, []byte(auditEverything), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &system{
		config: config, version: apiserver.Version{Program: "0.0.1"}, dir: dir, out: io.Discard,
		log: slog.New(slog.NewTextHandler(t.Output(), nil)), wall: clock.Real(), clock: clock.New(clock.Real()), clockSettled: make(chan struct{}),
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.names(listener)
	if err != nil {
		t.Fatal(err)
	}
	first, await, err := s.store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.identity, err = openIdentity(dir, n, false, s.wall); err != nil {
		t.Fatal(err)
	}
	if err := s.writeKubeconfig("https://" + n.listen.String()); err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, control: newControlPlane(s), system: s, log: config.Audit.LogPath}
	w.control.wall = hasten(t)
	s.server = apiserver.New(s.serverConfig(n, listener, await, w.control.ready))
	s.group.Log = s.log
	s.group.Add(append(first, s.server)...)
	s.group.Add(w.control.component())
	t.Cleanup(func() { s.stop(context.WithoutCancel(t.Context())) })
	if err := s.group.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.awaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.rest, err = clientcmd.BuildConfigFromFlags("", dir.Kubeconfig())
	if err == nil {
		w.rest.QPS = -1
		w.admin, err = kubernetes.NewForConfig(w.rest)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// hasten returns a clock that runs a second in five milliseconds until the test ends.
func hasten(t *testing.T) clock.Wall {
	fast := clocktesting.NewFakeClock(time.Now())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ticker := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-ticker.C:
				fast.Step(time.Second)
			case <-ctx.Done():
				ticker.Stop()
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return clock.WallOf(fast)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// eventually waits for what a controller does.
func (w *world) eventually(what string, done func() bool) {
	w.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("not within a minute: %s", what)
		}
	}
}

// TestControllersDoTheirWorkWithTheirOwnRights has each controller do all that it does,
// and looks into the audit log for who did what: nobody was refused, and nobody has a
// right that it did not use.
func TestControllersDoTheirWorkWithTheirOwnRights(t *testing.T) {
	w := begin(t)
	for name, job := range map[string]func(){
		"namespaces": w.namespaces, "accounts and certificates": w.accounts, "tokens in Secrets": w.legacyTokens,
		"nodes": w.nodes, "pods": w.pods, "roles": w.roles, "issuers": w.issuers,
	} {
		t.Log(name)
		job()
	}
	used := w.used()
	for _, right := range w.unused(used) {
		t.Errorf("%s was not used: take it out of the role, or let the controller use it here", right)
	}
	for _, user := range w.users() {
		if len(used[user]) == 0 {
			t.Errorf("%s has done nothing", user)
		}
	}
}

func (w *world) namespaces() {
	ctx := w.Context()
	_, err := w.admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ends"}}, metav1.CreateOptions{})
	w.must(err)
	maps := w.admin.CoreV1().ConfigMaps("ends")
	held, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "held", Finalizers: []string{"example.com/hold"}}}, metav1.CreateOptions{})
	w.must(err)
	w.must(w.admin.CoreV1().Namespaces().Delete(ctx, "ends", metav1.DeleteOptions{}))
	w.eventually("the namespace says what it waits for", func() bool {
		n, err := w.admin.CoreV1().Namespaces().Get(ctx, "ends", metav1.GetOptions{})
		return err == nil && len(n.Status.Conditions) > 0
	})
	_, err = maps.Patch(ctx, held.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	w.must(err)
	w.eventually("the namespace is gone", func() bool {
		_, err := w.admin.CoreV1().Namespaces().Get(ctx, "ends", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func (w *world) accounts() {
	ctx := w.Context()
	maps := w.admin.CoreV1().ConfigMaps("default")
	bundle := string(w.system.identity.authority.PEM())
	good := func() bool {
		c, err := maps.Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		return err == nil && c.Data["ca.crt"] == bundle && c.Immutable == nil
	}
	for _, patch := range []string{`{"data":{"ca.crt":"other"}}`, `{"data":{"ca.crt":"other"},"immutable":true}`} {
		_, err := maps.Patch(ctx, "kube-root-ca.crt", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		w.must(err)
		w.eventually("the bundle is right again", good)
	}
	accounts := w.admin.CoreV1().ServiceAccounts("default")
	before, err := accounts.Get(ctx, "default", metav1.GetOptions{})
	w.must(err)
	w.must(accounts.Delete(ctx, "default", metav1.DeleteOptions{}))
	w.eventually("there is a default account again", func() bool {
		sa, err := accounts.Get(ctx, "default", metav1.GetOptions{})
		return err == nil && sa.UID != before.UID
	})
}

func (w *world) legacyTokens() {
	ctx := w.Context()
	secrets, accounts, maps := w.admin.CoreV1().Secrets("default"), w.admin.CoreV1().ServiceAccounts("default"), w.admin.CoreV1().ConfigMaps("kube-system")
	const tracking = "kube-apiserver-legacy-service-account-token-tracking"
	_, err := maps.Patch(ctx, tracking, types.MergePatchType, []byte(`{"data":{"since":"never"}}`), metav1.PatchOptions{})
	w.must(err)
	w.eventually("the day is said again", func() bool {
		c, err := maps.Get(ctx, tracking, metav1.GetOptions{})
		return err == nil && c.Data["since"] != "never"
	})
	_, err = accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{})
	w.must(err)
	listed := func() string {
		sa, err := accounts.Get(ctx, "robot", metav1.GetOptions{})
		if err != nil || len(sa.Secrets) != 1 {
			return ""
		}
		return sa.Secrets[0].Name
	}
	w.eventually("the account has a Secret", func() bool { return listed() != "" })
	first := listed()
	w.must(secrets.Delete(ctx, first, metav1.DeleteOptions{}))
	w.eventually("the account has another Secret", func() bool { return listed() != "" && listed() != first })
	_, err = secrets.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "asked-for", Annotations: map[string]string{corev1.ServiceAccountNameKey: "robot"}},
		Type:       corev1.SecretTypeServiceAccountToken,
	}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("the Secret is filled in", func() bool {
		s, err := secrets.Get(ctx, "asked-for", metav1.GetOptions{})
		return err == nil && len(s.Data[corev1.ServiceAccountTokenKey]) > 0
	})
	_, err = testclock.Advance(ctx, w.admin, 120*time.Hour)
	w.must(err)
	w.eventually("a Secret that nobody uses is marked", func() bool {
		s, err := secrets.Get(ctx, listed(), metav1.GetOptions{})
		return err == nil && s.Labels["kubernetes.io/legacy-token-invalid-since"] != ""
	})
	w.must(accounts.Delete(ctx, "robot", metav1.DeleteOptions{}))
	w.eventually("the Secrets go with their account", func() bool {
		_, err := secrets.Get(ctx, "asked-for", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func (w *world) nodes() {
	ctx := w.Context()
	nodes := w.admin.CoreV1().Nodes()
	_, err := nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "silent"}}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("the silent node is tainted", func() bool {
		n, err := nodes.Get(ctx, "silent", metav1.GetOptions{})
		return err == nil && len(n.Status.Conditions) == 4 && slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeUnreachable })
	})
}

func (w *world) pods() {
	ctx := w.Context()
	pods := w.admin.CoreV1().Pods("default")
	create := func(name, node string) *corev1.Pod {
		w.Helper()
		p, err := pods.Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.PodSpec{NodeName: node, AutomountServiceAccountToken: ptr.To(false), Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		}, metav1.CreateOptions{})
		w.must(err)
		return p
	}
	w.eventually("pods can be made", func() bool {
		_, err := w.admin.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	})
	create("waits", "")
	w.eventually("the pod is told why it waits", func() bool {
		p, err := pods.Get(ctx, "waits", metav1.GetOptions{})
		return err == nil && len(p.Status.Conditions) > 0
	})
	ready, err := w.admin.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "ready"}}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("the pod has a node", func() bool {
		w.beat(ready.Name)
		p, err := pods.Get(ctx, "waits", metav1.GetOptions{})
		return err == nil && p.Spec.NodeName == ready.Name
	})
	lost := create("lost", "never-was")
	told := &v1alpha1.PodProjection{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: "lost", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "Pod", Name: "lost", UID: lost.UID, Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(false)}}},
		Spec: v1alpha1.PodProjectionSpec{NodeName: "never-was"},
	}
	path := "/apis/" + v1alpha1.SchemeGroupVersion.String() + "/namespaces/default/" + v1alpha1.Plural
	raw, err := json.Marshal(told)
	w.must(err)
	w.must(w.admin.Discovery().RESTClient().Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body(raw).Do(ctx).Error())
	w.eventually("the lost pod and what is told of it are gone", func() bool {
		_, err := pods.Get(ctx, "lost", metav1.GetOptions{})
		gone := w.admin.Discovery().RESTClient().Get().AbsPath(path, "lost").Do(ctx).Error()
		return apierrors.IsNotFound(err) && apierrors.IsNotFound(gone)
	})
}

// beat is a sign of life of a node with room.
func (w *world) beat(node string) {
	room := `{"cpu":"4","memory":"4Gi","pods":"10"}`
	patch := fmt.Sprintf(`{"status":{"capacity":%s,"allocatable":%s,"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":%q}]}}`, room, room, time.Now().UTC().Format(time.RFC3339))
	if _, err := w.admin.CoreV1().Nodes().Patch(w.Context(), node, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status"); err != nil && !apierrors.IsConflict(err) {
		w.Fatal(err)
	}
}

func (w *world) roles() {
	ctx := w.Context()
	roles := w.admin.RbacV1().ClusterRoles()
	_, err := roles.Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets", Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{"example.com"}, Resources: []string{"widgets"}}},
	}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("who views may view widgets", func() bool {
		view, err := roles.Get(ctx, "view", metav1.GetOptions{})
		return err == nil && slices.ContainsFunc(view.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, "widgets") })
	})
}

func (w *world) issuers() {
	ctx := w.Context()
	client := w.admin.Discovery().RESTClient()
	object := "/apis/" + configv1.SchemeGroupVersion.String() + "/" + configv1.Authentications.Resource + "/" + configv1.Name
	w.must(client.Patch(types.MergePatchType).AbsPath(object).Body([]byte(`{"spec":{"serviceAccountIssuer":"https://tokens.example.com"}}`)).Do(ctx).Error())
	w.eventually("the change of the issuer is recorded", func() bool {
		all, err := w.admin.CoreV1().Events("default").List(ctx, metav1.ListOptions{})
		return err == nil && slices.ContainsFunc(all.Items, func(e corev1.Event) bool { return e.Reason == "ServiceAccountIssuer" })
	})
}

// users are whom the controllers act as.
func (w *world) users() []string {
	users := []string{env.ServiceAccount(sharedInformers), scheduler.User}
	for _, b := range w.control.builders() {
		if b.name != scheduler.Name {
			users = append(users, env.ServiceAccount(b.name))
		}
	}
	return users
}

// used reads from the audit log what each user did, as "verb resource.group". It fails
// for a request of a controller that was refused.
func (w *world) used() map[string]map[string]bool {
	w.Helper()
	file, err := os.Open(w.log)
	w.must(err)
	defer file.Close()
	all := map[string]map[string]bool{}
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all // the last line may not be whole yet
		}
		w.must(err)
		var e struct {
			Verb, RequestURI string
			User             struct{ Username string }
			ObjectRef        struct{ Resource, Subresource, APIGroup string }
			Annotations      map[string]string
		}
		w.must(json.Unmarshal(line, &e))
		if all[e.User.Username] == nil {
			all[e.User.Username] = map[string]bool{}
		}
		all[e.User.Username][right(e.Verb, e.ObjectRef.APIGroup, e.ObjectRef.Resource, e.ObjectRef.Subresource)] = true
		if e.Annotations["authorization.k8s.io/decision"] == "forbid" && slices.Contains(w.users(), e.User.Username) {
			w.Errorf("%s may not %s %s", e.User.Username, e.Verb, e.RequestURI)
		}
	}
}

func right(verb, group, resource, subresource string) string {
	if subresource != "" {
		resource += "/" + subresource
	}
	if group != "" {
		resource += "." + group
	}
	return verb + " " + resource
}

// seldom are rights whose use cannot be brought about here, or leaves no line in the log.
var seldom = map[string]string{
	"namespace-controller delete *.*":                                   "for kinds whose objects must be deleted one by one",
	"clusterrole-aggregation-controller escalate clusterroles." + group: "is asked for within the update",
	"tokenissuer-controller get authentications.config.openshift.io":    "when another server has made it in the same moment",
	"tokenissuer-controller get kubeapiservers.operator.openshift.io":   "when another server has made it in the same moment",
	"tokenissuer-controller patch events":                               "when the same happens again",
	"tokenissuer-controller update events":                              "as every component that records events",
	"tokenissuer-controller create events.events.k8s.io":                "as every component that records events",
	"tokenissuer-controller patch events.events.k8s.io":                 "as every component that records events",
	"tokenissuer-controller update events.events.k8s.io":                "as every component that records events",
}

const group = rbacv1.GroupName

// unused lists the rights of the controllers' roles that used does not have. A reflector
// lists or watches, as the server lets it: it needs both.
func (w *world) unused(used map[string]map[string]bool) (out []string) {
	w.Helper()
	rules := map[string][]rbacv1.PolicyRule{}
	roles, err := w.admin.RbacV1().ClusterRoles().List(w.Context(), metav1.ListOptions{})
	w.must(err)
	for _, r := range roles.Items {
		if name, ok := strings.CutPrefix(r.Name, "system:controller:"); ok {
			rules[name] = append(rules[name], r.Rules...)
		}
	}
	system, err := w.admin.RbacV1().Roles("kube-system").List(w.Context(), metav1.ListOptions{})
	w.must(err)
	for _, r := range system.Items {
		if name, ok := strings.CutPrefix(r.Name, "system:controller:"); ok {
			rules[name] = append(rules[name], r.Rules...)
		}
	}
	for name, rules := range rules {
		did := used[env.ServiceAccount(name)]
		each(rules, func(verb, group, resource string) {
			r := right(verb, group, resource, "")
			if seldom[name+" "+r] == "" && !did[r] && !(verb == "list" && did[right("watch", group, resource, "")]) && !(resource == "*" && verbUsed(did, verb)) {
				out = append(out, name+" "+r)
			}
		})
	}
	slices.Sort(out)
	return out
}

func each(rules []rbacv1.PolicyRule, f func(verb, group, resource string)) {
	for _, r := range rules {
		for _, verb := range r.Verbs {
			for _, group := range r.APIGroups {
				for _, resource := range r.Resources {
					f(verb, group, resource)
				}
			}
		}
	}
}

func verbUsed(did map[string]bool, verb string) bool {
	for r := range did {
		if strings.HasPrefix(r, verb+" ") {
			return true
		}
	}
	return false
}

// TestControllersMayNotDoWhatTheyDoNotNeed asks the server of each controller whether it
// may do what none or few of them do.
func TestControllersMayNotDoWhatTheyDoNotNeed(t *testing.T) {
	w := begin(t)
	const emptying = "namespace-controller"
	for what, may := range map[string][]string{
		"get secrets":                               {"service-account-token-controller"},
		"list secrets":                              {"service-account-token-controller", emptying},
		"create secrets":                            {"service-account-token-controller"},
		"watch configmaps":                          nil,
		"get configmaps":                            nil,
		"create configmaps":                         {"root-ca-cert-publisher"},
		"create pods":                               nil,
		"update pods":                               nil,
		"delete pods":                               {"pod-garbage-collector", emptying, scheduler.User},
		"create pods/exec":                          nil,
		"get pods/log":                              nil,
		"create pods/binding":                       {scheduler.User},
		"patch pods/status":                         {"pod-garbage-collector", scheduler.User},
		"create serviceaccounts":                    {"service-account-controller"},
		"update serviceaccounts":                    {"service-account-token-controller"},
		"create serviceaccounts/token":              nil,
		"impersonate users":                         nil,
		"impersonate groups":                        nil,
		"impersonate serviceaccounts":               nil,
		"create nodes":                              nil,
		"update nodes":                              {"node-controller"},
		"get nodes/proxy":                           nil,
		"update namespaces":                         nil,
		"update namespaces/finalize":                {emptying},
		"create clusterrolebindings." + group:       nil,
		"create rolebindings." + group:              nil,
		"bind clusterroles." + group:                nil,
		"update clusterroles." + group:              {"clusterrole-aggregation-controller"},
		"escalate clusterroles." + group:            {"clusterrole-aggregation-controller"},
		"escalate roles." + group:                   nil,
		"create tokenreviews.authentication.k8s.io": {scheduler.User},
		"update kubeapiservers/status.operator.openshift.io": {"tokenissuer-controller"},
		"update authentications.config.openshift.io":         nil,
		"update podprojections." + v1alpha1.GroupName:        nil,
		"delete podprojections." + v1alpha1.GroupName:        {"podprojection-controller", emptying},
	} {
		var got []string
		for _, user := range w.users() {
			if w.allowed(user, what) {
				got = append(got, strings.TrimPrefix(user, env.ServiceAccount("")))
			}
		}
		slices.Sort(may)
		slices.Sort(got)
		if !slices.Equal(got, may) {
			t.Errorf("%s: allowed to %v, want %v", what, got, may)
		}
	}
}

// allowed asks whether a user may do "verb resource[/subresource][.group]" in a
// namespace where nobody has special rights.
func (w *world) allowed(user, what string) bool {
	w.Helper()
	verb, resource, _ := strings.Cut(what, " ")
	resource, group, _ := strings.Cut(resource, ".")
	resource, subresource, _ := strings.Cut(resource, "/")
	spec := authorizationv1.SubjectAccessReviewSpec{
		User: user, Groups: []string{"system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: group, Resource: resource, Subresource: subresource, Namespace: "default", Name: "other"},
	}
	if strings.HasPrefix(user, "system:serviceaccount:") {
		spec.Groups = append(spec.Groups, "system:serviceaccounts", "system:serviceaccounts:kube-system")
	}
	review, err := w.admin.AuthorizationV1().SubjectAccessReviews().Create(w.Context(), &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	w.must(err)
	return review.Status.Allowed
}
