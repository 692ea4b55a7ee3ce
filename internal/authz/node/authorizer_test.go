package node_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry"
)

func nodeUser(name string) user.Info {
	return &user.DefaultInfo{Name: "system:node:" + name, Groups: []string{"system:nodes", "system:authenticated"}}
}

// pod is bound to a node and refers to objects named after itself.
func pod(name, on string) *corev1.Pod {
	local := func(suffix string) corev1.LocalObjectReference {
		return corev1.LocalObjectReference{Name: name + "-" + suffix}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: "u"},
		Spec: corev1.PodSpec{
			NodeName:           on,
			ServiceAccountName: name + "-account",
			ImagePullSecrets:   []corev1.LocalObjectReference{local("pull")},
			InitContainers: []corev1.Container{{EnvFrom: []corev1.EnvFromSource{
				{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: local("initenv")}},
			}}},
			Containers: []corev1.Container{{
				EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: local("envfrom")}}},
				Env: []corev1.EnvVar{
					{ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: local("env")}}},
					{ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: local("env")}}},
				},
			}},
			Volumes: []corev1.Volume{
				{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name + "-volume"}}},
				{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: local("volume")}}},
				{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
					{Secret: &corev1.SecretProjection{LocalObjectReference: local("projected")}},
					{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: local("projected")}},
				}}}},
				{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name + "-claim"}}},
			},
		},
	}
}

// start returns an authorizer that knows objects, and the store behind it.
func start(t *testing.T, objects ...runtime.Object) (*node.Authorizer, *fake.Clientset) {
	t.Helper()
	client := fake.NewClientset(objects...)
	selectByNode(client)
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	a, err := node.New(node.Config{Pods: pods, Client: client, Clock: clock.Real(), Kinds: registry.Kinds().NodeAccess(), Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{""}, Resources: []string{"services", "secrets", "pods"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	factory.Start(ctx.Done())
	t.Cleanup(func() { cancel(); factory.Shutdown() })
	if !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced) {
		t.Fatal("pods not synced")
	}
	return a, client
}

// selectByNode teaches the fake the field selector, which it ignores.
func selectByNode(client *fake.Clientset) {
	client.PrependReactor("list", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		selector := action.(clienttesting.ListAction).GetListRestrictions().Fields
		obj, err := client.Tracker().List(corev1.SchemeGroupVersion.WithResource("pods"), corev1.SchemeGroupVersion.WithKind("Pod"), action.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		list := obj.(*corev1.PodList)
		out := &corev1.PodList{ListMeta: list.ListMeta}
		for _, p := range list.Items {
			if selector.Matches(fields.Set{"spec.nodeName": p.Spec.NodeName}) {
				out.Items = append(out.Items, p)
			}
		}
		return true, out, nil
	})
}

// TestAudiencesOfCredentialProvidersAreForNodes, with their verb and without the right to
// anything that has such a name.
func TestAudiencesOfCredentialProvidersAreForNodes(t *testing.T) {
	client := fake.NewClientset()
	a, err := node.New(node.Config{
		Pods: informers.NewSharedInformerFactory(client, 0).Core().V1().Pods().Informer(), Client: client, Clock: clock.Real(),
		Kinds: registry.Kinds().NodeAccess(), TokenAudiences: []string{"registry", "secrets"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		verb, resource string
		groups         []string
		want           authorizer.Decision
	}{
		"audience":         {node.AudienceVerb, "registry", []string{"system:nodes"}, authorizer.DecisionAllow},
		"another audience": {node.AudienceVerb, "vault", []string{"system:nodes"}, authorizer.DecisionNoOpinion},
		"another verb":     {"get", "secrets", []string{"system:nodes"}, authorizer.DecisionNoOpinion},
		"no node":          {node.AudienceVerb, "registry", nil, authorizer.DecisionNoOpinion},
	} {
		got, _, _ := a.Authorize(t.Context(), authorizer.AttributesRecord{
			User: &user.DefaultInfo{Name: "system:node:a", Groups: tt.groups}, Verb: tt.verb, Resource: tt.resource, Namespace: "n", Name: "robot", ResourceRequest: true,
		})
		if got != tt.want {
			t.Errorf("%s: decision %v", what, got)
		}
	}
}

func TestAuthorize(t *testing.T) {
	mirror := pod("mirror", "a")
	mirror.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
	a, _ := start(t, pod("mine", "a"), pod("theirs", "b"), pod("nobodys", ""), mirror)
	r := func(verb, resource, name string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, Namespace: "n", Resource: resource, Name: name, ResourceRequest: true}
	}
	in := func(namespace string, attrs authorizer.AttributesRecord) authorizer.AttributesRecord {
		attrs.Namespace = namespace
		return attrs
	}
	sub := func(subresource string, attrs authorizer.AttributesRecord) authorizer.AttributesRecord {
		attrs.Subresource = subresource
		return attrs
	}
	where := func(selector string, attrs authorizer.AttributesRecord) authorizer.AttributesRecord {
		s, err := fields.ParseSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		attrs.FieldSelectorRequirements = s.Requirements()
		return attrs
	}
	csinodes := func(verb, name string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, APIGroup: "storage.k8s.io", Resource: "csinodes", Name: name, ResourceRequest: true}
	}
	requests := func(verb, subresource, selected string) authorizer.AttributesRecord {
		r := authorizer.AttributesRecord{Verb: verb, APIGroup: "certificates.k8s.io", Namespace: "n", Resource: "podcertificaterequests", Subresource: subresource, ResourceRequest: true}
		if selected != "" {
			r.FieldSelectorRequirements = fields.OneTermEqualSelector("spec.nodeName", selected).Requirements()
		}
		return r
	}
	leases := func(verb, namespace, name string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, APIGroup: "coordination.k8s.io", Namespace: namespace, Resource: "leases", Name: name, ResourceRequest: true}
	}
	projections := func(verb, namespace, name string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, APIGroup: "projection.laterna.dev", Namespace: namespace, Resource: "podprojections", Name: name, ResourceRequest: true}
	}
	const none = "no relationship found between node 'a' and this object"
	const allowed = "allowed"
	for _, tc := range []struct {
		name  string
		attrs authorizer.AttributesRecord
		want  string // allowed or the reason of the refusal
	}{
		{"pull secret", r("get", "secrets", "mine-pull"), allowed},
		{"secret of envFrom in an init container", r("get", "secrets", "mine-initenv"), allowed},
		{"secret of env", r("get", "secrets", "mine-env"), allowed},
		{"secret volume", r("get", "secrets", "mine-volume"), allowed},
		{"secret of a projected volume", r("get", "secrets", "mine-projected"), allowed},
		{"config map of envFrom", r("get", "configmaps", "mine-envfrom"), allowed},
		{"config map of env", r("get", "configmaps", "mine-env"), allowed},
		{"config map volume", r("watch", "configmaps", "mine-volume"), allowed},
		{"config map of a projected volume", r("list", "configmaps", "mine-projected"), allowed},
		{"claim", r("get", "persistentvolumeclaims", "mine-claim"), allowed},
		{"claim of another node's pod", r("get", "persistentvolumeclaims", "theirs-claim"), none},
		{"deleting a claim", r("delete", "persistentvolumeclaims", "mine-claim"), "can only read resources of this type"},
		{"watch of one secret", r("watch", "secrets", "mine-volume"), allowed},
		{"service account", r("get", "serviceaccounts", "mine-account"), allowed},
		{"following a service account", r("watch", "serviceaccounts", "mine-account"), allowed},
		{"following an account of another node's pod", r("watch", "serviceaccounts", "theirs-account"), none},
		{"token", sub("token", r("create", "serviceaccounts", "mine-account")), allowed},

		{"secret of another node's pod", r("get", "secrets", "theirs-volume"), none},
		{"secret of an unbound pod", r("get", "secrets", "nobodys-volume"), none},
		{"secret of a mirror pod", r("get", "secrets", "mirror-volume"), none},
		{"same name in another namespace", in("m", r("get", "secrets", "mine-volume")), none},
		{"secret by the name of a config map", r("get", "secrets", "mine-envfrom"), none},
		{"all secrets of a namespace", r("list", "secrets", ""), "No Object name found"},
		{"all secrets", in("", r("list", "secrets", "")), "can only read namespaced object of this type"},
		{"watch of all secrets", in("", r("watch", "secrets", "")), "can only read namespaced object of this type"},
		{"writing a secret", r("update", "secrets", "mine-volume"), "can only read resources of this type"},
		{"deleting a secret", r("delete", "secrets", "mine-volume"), "can only read resources of this type"},
		{"subresource of a secret", sub("x", r("get", "secrets", "mine-volume")), "cannot read subresource"},
		{"token for another node's pod", sub("token", r("create", "serviceaccounts", "theirs-account")), none},
		{"token for no account", sub("token", r("create", "serviceaccounts", "")), "can only create tokens for individual service accounts"},
		{"making a service account", r("create", "serviceaccounts", "mine-account"), "can only create token subresource of serviceaccount"},
		{"listing service accounts", r("list", "serviceaccounts", ""), "can only create tokens for individual service accounts"},
		{"account of another node's pod", r("get", "serviceaccounts", "theirs-account"), none},

		{"own pod", r("get", "pods", "mine"), allowed},
		{"mirror pod", r("get", "pods", "mirror"), allowed},
		{"another node's pod", r("get", "pods", "theirs"), none},
		{"own pods", where("spec.nodeName=a", in("", r("list", "pods", ""))), allowed},
		{"watch of own pods", where("spec.nodeName=a", in("", r("watch", "pods", ""))), allowed},
		{"another node's pods", where("spec.nodeName=b", in("", r("list", "pods", ""))), "can only list/watch pods with spec.nodeName field selector"},
		{"all but own pods", where("spec.nodeName!=a", in("", r("list", "pods", ""))), "can only list/watch pods with spec.nodeName field selector"},
		{"all pods", in("", r("list", "pods", "")), "can only list/watch pods with spec.nodeName field selector"},
		{"deleting pods by the dozen", r("deletecollection", "pods", ""), ""},
		{"making a pod", r("create", "pods", ""), allowed},
		{"changing a pod", r("patch", "pods", "mine"), ""},
		{"status of a pod", sub("status", r("patch", "pods", "mine")), allowed},
		{"evicting a pod", sub("eviction", r("create", "pods", "mine")), allowed},
		{"exec", sub("exec", r("create", "pods", "mine")), ""},
		{"binding", sub("binding", r("create", "pods", "mine")), ""},

		{"own node", in("", r("get", "nodes", "a")), allowed},
		{"watch of own node", in("", r("watch", "nodes", "a")), allowed},
		{"another node", in("", r("get", "nodes", "b")), "node 'a' cannot read 'b', only its own Node object"},
		{"all nodes", in("", r("list", "nodes", "")), "node 'a' cannot read all nodes, only its own Node object"},
		{"own node's status", sub("status", in("", r("patch", "nodes", "a"))), allowed},
		{"deleting a node", in("", r("delete", "nodes", "a")), ""},
		{"proxy to a node", sub("proxy", in("", r("get", "nodes", "b"))), ""},

		{"making a pod projection", projections("create", "n", ""), allowed},
		{"own pod's projection", projections("get", "n", "mine"), allowed},
		{"writing own pod's projection", projections("update", "n", "mine"), allowed},
		{"patching own pod's projection", projections("patch", "n", "mine"), allowed},
		{"deleting own pod's projection", projections("delete", "n", "mine"), allowed},
		{"another node's pod's projection", projections("get", "n", "theirs"), none},
		{"writing another node's pod's projection", projections("update", "n", "theirs"), none},
		{"deleting another node's pod's projection", projections("delete", "n", "theirs"), none},
		{"projection of an unbound pod", projections("patch", "n", "nobodys"), none},
		{"projection of the same name elsewhere", projections("get", "m", "mine"), none},
		{"all pod projections", projections("list", "n", ""), "can only get, create, update, patch, or delete individual pod projections"},
		{"watch of own pod's projection", projections("watch", "n", "mine"), "can only get, create, update, patch, or delete individual pod projections"},
		{"deleting projections by the dozen", projections("deletecollection", "n", ""), "can only get, create, update, patch, or delete individual pod projections"},

		{"own lease", leases("update", "kube-node-lease", "a"), allowed},
		{"making a lease", leases("create", "kube-node-lease", ""), allowed},
		{"another node's lease", leases("update", "kube-node-lease", "b"), "can only access node lease with the same name as the requesting node"},
		{"lease elsewhere", leases("get", "kube-system", "a"), `can only access leases in the "kube-node-lease" system namespace`},
		{"asking for a pod's certificate", requests("create", "", ""), allowed},
		{"what it asked for", requests("watch", "", "a"), allowed},
		{"what another asked for", requests("list", "", "b"), "can only create podcertificaterequests, and list/watch them with spec.nodeName field selector"},
		{"deleting what it asked for", requests("delete", "", ""), "can only create podcertificaterequests, and list/watch them with spec.nodeName field selector"},
		{"signing what it asked for", requests("update", "status", ""), "cannot access subresource"},
		{"own storage drivers", csinodes("patch", "a"), allowed},
		{"naming storage drivers", csinodes("create", ""), allowed},
		{"another node's storage drivers", csinodes("get", "b"), "can only access CSINode with the same name as the requesting node"},
		{"all storage drivers of nodes", csinodes("list", ""), "can only get, create, update, patch, or delete a CSINode"},
		{"all leases", leases("list", "kube-node-lease", ""), "can only get, create, update, patch, or delete a node lease"},

		{"what all nodes may", in("", r("list", "services", "")), allowed},
		{"what no node may", in("", r("create", "services", "")), ""},
		{"paths", authorizer.AttributesRecord{Verb: "get", Path: "/metrics"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.attrs.User = nodeUser("a")
			decision, reason, err := a.Authorize(t.Context(), tc.attrs)
			if err != nil {
				t.Fatal(err)
			}
			got := reason
			if decision == authorizer.DecisionAllow {
				got = allowed
			}
			if decision == authorizer.DecisionDeny || got != tc.want {
				t.Errorf("decision %v, %q; want %q", decision, got, tc.want)
			}
		})
	}
}

func TestWhoIsANode(t *testing.T) {
	a, _ := start(t, pod("mine", "a"), pod("unnamed", ""))
	for _, tc := range []struct {
		user   user.Info
		allow  bool
		reason string
	}{
		{nodeUser("a"), true, ""},
		{&user.DefaultInfo{Name: "system:node:a"}, false, ""},
		{&user.DefaultInfo{Name: "a", Groups: []string{"system:nodes"}}, false, ""},
		{nodeUser(""), false, `unknown node for user "system:node:"`},
		{&user.DefaultInfo{}, false, ""},
	} {
		decision, reason, err := a.Authorize(t.Context(), authorizer.AttributesRecord{User: tc.user, Verb: "get", Namespace: "n", Resource: "secrets", Name: "mine-volume", ResourceRequest: true})
		if (decision == authorizer.DecisionAllow) != tc.allow || reason != tc.reason || err != nil {
			t.Errorf("%s %v: %v %q %v, want allowed %v %q", tc.user.GetName(), tc.user.GetGroups(), decision, reason, err, tc.allow, tc.reason)
		}
	}
	if _, _, incomplete, err := a.RulesFor(t.Context(), nodeUser("a"), "n"); !incomplete || err == nil {
		t.Errorf("rules of a node: incomplete %v, %v, want an error", incomplete, err)
	}
	if _, _, incomplete, err := a.RulesFor(t.Context(), &user.DefaultInfo{Name: "ann"}, "n"); incomplete || err != nil {
		t.Errorf("rules of somebody else: incomplete %v, %v", incomplete, err)
	}
}

func secretOf(name string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{User: nodeUser("a"), Verb: "get", Namespace: "n", Resource: "secrets", Name: name + "-volume", ResourceRequest: true}
}

// TestFollowsPods checks that access comes and goes with pods.
func TestFollowsPods(t *testing.T) {
	a, client := start(t, pod("mine", "a"))
	pods := client.CoreV1().Pods("n")
	if _, err := pods.Create(t.Context(), pod("late", "a"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if decision, reason, err := a.Authorize(t.Context(), secretOf("late")); decision != authorizer.DecisionAllow {
		t.Errorf("secret of a new pod: %v %q %v, want allowed at once", decision, reason, err)
	}
	if err := pods.Delete(t.Context(), "late", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		decision, _, err := a.Authorize(t.Context(), secretOf("late"))
		if err != nil {
			t.Fatal(err)
		}
		if decision != authorizer.DecisionAllow {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("secret of a deleted pod is readable for five seconds")
		}
	}
	if decision, _, err := a.Authorize(t.Context(), secretOf("mine")); decision != authorizer.DecisionAllow {
		t.Errorf("secret of the other pod: %v %v, want allowed", decision, err)
	}
}

// TestBindingSeenByTheStoreOnly checks that a node is not refused what its watch
// has shown it already and ours has not: the index never hears of the pod here.
func TestBindingSeenByTheStoreOnly(t *testing.T) {
	client := fake.NewClientset(pod("fresh", "a"), pod("theirs", "b"))
	selectByNode(client)
	deaf := informers.NewSharedInformerFactory(fake.NewClientset(), 0).Core().V1().Pods().Informer()
	a, err := node.New(node.Config{Pods: deaf, Client: client, Kinds: registry.Kinds().NodeAccess(), Clock: clock.Real()})
	if err != nil {
		t.Fatal(err)
	}
	if decision, reason, err := a.Authorize(t.Context(), secretOf("fresh")); decision != authorizer.DecisionAllow {
		t.Errorf("%v %q %v, want allowed", decision, reason, err)
	}
	if decision, _, _ := a.Authorize(t.Context(), secretOf("theirs")); decision == authorizer.DecisionAllow {
		t.Error("secret of another node's pod is readable")
	}
}

// TestMissesShareReads checks that a node that asks for much which it may not have
// costs few reads of the store.
func TestMissesShareReads(t *testing.T) {
	a, client := start(t)
	var reads, now, most atomic.Int32
	client.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		reads.Add(1)
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(20 * time.Millisecond)
		now.Add(-1)
		return true, &corev1.PodList{}, nil
	})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if decision, _, err := a.Authorize(t.Context(), secretOf(fmt.Sprint("x", i))); decision == authorizer.DecisionAllow || err != nil {
				t.Errorf("%v %v, want a refusal", decision, err)
			}
		})
	}
	wg.Wait()
	if reads.Load() > 8 || most.Load() > 1 {
		t.Errorf("%d reads, %d at the same time, want a few one after the other", reads.Load(), most.Load())
	}
}

func TestStoreOutOfReach(t *testing.T) {
	a, client := start(t)
	client.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("store is down")
	})
	decision, reason, err := a.Authorize(t.Context(), secretOf("x"))
	if decision == authorizer.DecisionAllow || err == nil {
		t.Errorf("%v %q %v, want an error: a refusal would be taken for final", decision, reason, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if decision, _, err := a.Authorize(ctx, secretOf("y")); decision == authorizer.DecisionAllow || err == nil {
		t.Errorf("with an ended context: %v %v, want an error", decision, err)
	}
}
