package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	configv1 "laterna.dev/laterna/api/config/v1"
	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/controller/testclock"
)

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
	bundle := string(w.identity.Authority.PEM())
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
	_, err = secrets.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "for-nobody", Annotations: map[string]string{corev1.ServiceAccountNameKey: "nobody"}},
		Type:       corev1.SecretTypeServiceAccountToken,
	}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("it is told that the Secret's account is not there", w.toldOf("for-nobody"))
	w.must(accounts.Delete(ctx, "robot", metav1.DeleteOptions{}))
	w.eventually("the Secrets go with their account", func() bool {
		_, err := secrets.Get(ctx, "asked-for", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

// toldOf tells whether there is an event about an object.
func (w *world) toldOf(name string) func() bool {
	return func() bool {
		all, err := w.admin.CoreV1().Events("default").List(w.Context(), metav1.ListOptions{})
		return err == nil && slices.ContainsFunc(all.Items, func(e corev1.Event) bool { return e.InvolvedObject.Name == name })
	}
}

func (w *world) nodes() {
	ctx := w.Context()
	nodes := w.admin.CoreV1().Nodes()
	_, err := nodes.Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "silent"},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "out", Effect: corev1.TaintEffectNoExecute}}},
	}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("the silent node is tainted", func() bool {
		n, err := nodes.Get(ctx, "silent", metav1.GetOptions{})
		return err == nil && len(n.Status.Conditions) == 4 && slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeUnreachable })
	})
}

// evictions has a pod on a node that nobody may stay on.
func (w *world) evictions() {
	w.eventually("a pod can be made", func() bool {
		_, err := w.admin.CoreV1().Pods("default").Create(w.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "unwelcome"},
			Spec:       corev1.PodSpec{NodeName: "silent", AutomountServiceAccountToken: ptr.To(false), Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		}, metav1.CreateOptions{})
		return err == nil
	})
	w.eventually("the pod that its node's taint evicts ends", func() bool {
		p, err := w.admin.CoreV1().Pods("default").Get(w.Context(), "unwelcome", metav1.GetOptions{})
		return err == nil && p.DeletionTimestamp != nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Reason == "DeletionByTaintManager" })
	})
	w.eventually("it is told why", w.toldOf("unwelcome"))
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
	w.eventually("the lost pod is told that its node is not there", w.toldOf("lost"))
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
