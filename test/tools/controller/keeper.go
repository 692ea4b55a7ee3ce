package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "laterna.dev/laterna/test/tools/controller/v1"
)

const (
	// manager is the name under which fields are applied.
	manager = client.FieldOwner("shop-controller")
	// finalizer is held until the books of a shop are closed.
	finalizer = "shops.example.com/books"
	// menuIndex finds shops by the ConfigMap that they name.
	menuIndex = "spec.menu"
	// readyCondition tells whether the shop can be open.
	readyCondition = "Ready"
)

// keeper makes of shops what they ask for.
type keeper struct {
	client client.Client
	events events.EventRecorder
}

// setUp has the manager tell of shops, and of what they own and read. Of Secrets it holds
// the metadata only.
func (k *keeper) setUp(ctx context.Context, mgr ctrl.Manager) error {
	menu := func(o client.Object) []string { return []string{o.(*v1.Shop).Spec.Menu} }
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1.Shop{}, menuIndex, menu); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).For(&v1.Shop{}).Owns(&appsv1.Deployment{}).Owns(&corev1.Secret{}, builder.OnlyMetadata).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(k.readers)).Complete(k)
}

// readers are the shops that name a ConfigMap.
func (k *keeper) readers(ctx context.Context, o client.Object) (all []reconcile.Request) {
	var shops v1.ShopList
	if err := k.client.List(ctx, &shops, client.InNamespace(o.GetNamespace()), client.MatchingFields{menuIndex: o.GetName()}); err != nil {
		return nil
	}
	for i := range shops.Items {
		all = append(all, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&shops.Items[i])})
	}
	return all
}

// Reconcile implements reconcile.Reconciler.
func (k *keeper) Reconcile(ctx context.Context, of reconcile.Request) (reconcile.Result, error) {
	var shop v1.Shop
	if err := k.client.Get(ctx, of.NamespacedName, &shop); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if shop.DeletionTimestamp != nil {
		return reconcile.Result{}, k.close(ctx, &shop)
	}
	if controllerutil.AddFinalizer(&shop, finalizer) {
		return reconcile.Result{}, k.client.Update(ctx, &shop)
	}
	var menu corev1.ConfigMap
	err := k.client.Get(ctx, types.NamespacedName{Namespace: of.Namespace, Name: shop.Spec.Menu}, &menu)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, err
	}
	if err != nil {
		return reconcile.Result{}, k.tell(ctx, &shop, 0, metav1.ConditionFalse, "NoMenu", "there is no ConfigMap "+shop.Spec.Menu)
	}
	if err := k.secret(ctx, &shop); err != nil {
		return reconcile.Result{}, err
	}
	if err := k.client.Apply(ctx, deployment(&shop, digest(menu.Data)), manager, client.ForceOwnership); err != nil {
		return reconcile.Result{}, err
	}
	var d appsv1.Deployment
	if err := k.client.Get(ctx, of.NamespacedName, &d); err != nil {
		// The cache learns of it, and the shop is looked at again.
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	return reconcile.Result{}, k.tell(ctx, &shop, d.Status.ReadyReplicas, metav1.ConditionTrue, "MenuRead", "")
}

// secret makes the key of a shop, once.
func (k *keeper) secret(ctx context.Context, shop *v1.Shop) error {
	there := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}}
	if err := k.client.Get(ctx, client.ObjectKeyFromObject(shop), there); client.IgnoreNotFound(err) != nil || err == nil {
		return err
	}
	key := make([]byte, 16)
	rand.Read(key)
	made := coreapply.Secret(shop.Name, shop.Namespace).WithOwnerReferences(owner(shop)).WithData(map[string][]byte{"key": []byte(hex.EncodeToString(key))})
	if err := k.client.Apply(ctx, made, manager, client.ForceOwnership); err != nil {
		return err
	}
	k.events.Eventf(shop, nil, corev1.EventTypeNormal, "KeyMade", "MakeKey", "made the key of %s", shop.Name)
	return nil
}

// deployment is what a shop owns.
func deployment(shop *v1.Shop, menu string) *appsapply.DeploymentApplyConfiguration {
	labels := map[string]string{"shops.example.com/name": shop.Name}
	container := coreapply.Container().WithName("shop").WithImage("busybox:1.28").WithCommand("sleep", "3600").
		WithEnv(coreapply.EnvVar().WithName("GREETING").WithValue(shop.Spec.Greeting)).
		WithEnvFrom(coreapply.EnvFromSource().WithSecretRef(coreapply.SecretEnvSource().WithName(shop.Name)))
	template := coreapply.PodTemplateSpec().WithLabels(labels).WithAnnotations(map[string]string{"shops.example.com/menu": menu}).
		WithSpec(coreapply.PodSpec().WithContainers(container))
	return appsapply.Deployment(shop.Name, shop.Namespace).WithOwnerReferences(owner(shop)).WithSpec(appsapply.DeploymentSpec().
		WithReplicas(*shop.Spec.Replicas).WithSelector(metaapply.LabelSelector().WithMatchLabels(labels)).WithTemplate(template))
}

// owner is a shop as the controller of what it owns.
func owner(shop *v1.Shop) *metaapply.OwnerReferenceApplyConfiguration {
	return metaapply.OwnerReference().WithAPIVersion(v1.GroupVersion.String()).WithKind("Shop").WithName(shop.Name).WithUID(shop.UID).
		WithController(true).WithBlockOwnerDeletion(true)
}

func digest(data map[string]string) string {
	raw, err := json.Marshal(data)
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// tell applies the status of a shop, where it changes.
func (k *keeper) tell(ctx context.Context, shop *v1.Shop, ready int32, status metav1.ConditionStatus, reason, message string) error {
	conditions := slices.Clone(shop.Status.Conditions)
	changed := meta.SetStatusCondition(&conditions, metav1.Condition{Type: readyCondition, Status: status, Reason: reason, Message: message, ObservedGeneration: shop.Generation})
	if !changed && shop.Status.Ready == ready && shop.Status.ObservedGeneration == shop.Generation {
		return nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v1.ShopStatus{ObservedGeneration: shop.Generation, Ready: ready, Conditions: conditions})
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": content}}
	u.SetGroupVersionKind(v1.GroupVersion.WithKind("Shop"))
	u.SetNamespace(shop.Namespace)
	u.SetName(shop.Name)
	return k.client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), manager, client.ForceOwnership)
}

// close writes the books of a shop that is deleted, and lets it go.
func (k *keeper) close(ctx context.Context, shop *v1.Shop) error {
	before := shop.DeepCopyObject().(*v1.Shop)
	if !controllerutil.RemoveFinalizer(shop, finalizer) {
		return nil
	}
	books := coreapply.ConfigMap("books-"+shop.Name, shop.Namespace).WithData(map[string]string{"closed": string(shop.UID)})
	err := k.client.Apply(ctx, books, manager, client.ForceOwnership)
	// Where the whole namespace goes, nobody reads them.
	if err != nil && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return err
	}
	return client.IgnoreNotFound(k.client.Patch(ctx, shop, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})))
}
