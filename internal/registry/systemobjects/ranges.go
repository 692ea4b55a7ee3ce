package systemobjects

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/controller/servicecidr"
	"laterna.dev/laterna/internal/registry/core/service"
	"laterna.dev/laterna/internal/registry/resource"
)

func (k *Keeper) serviceCIDR() *networkingv1.ServiceCIDR {
	return &networkingv1.ServiceCIDR{
		ObjectMeta: metav1.ObjectMeta{Name: service.DefaultCIDR, Finalizers: []string{servicecidr.Finalizer}},
		Spec:       networkingv1.ServiceCIDRSpec{CIDRs: []string{k.config.Range.Masked().String()}},
	}
}

// keepRange keeps the object of the configured range, and says of it once that it is ready;
// from then on its controller does. One of another range makes way: what a range is cannot
// be changed, and addresses come from the configured one whatever the object says.
func (k *Keeper) keepRange(ctx context.Context) error {
	ctx = request.WithNamespace(ctx, metav1.NamespaceNone)
	want := k.serviceCIDR()
	have, err := k.readRange(ctx)
	if err == nil && have != nil && have.Spec.CIDRs[0] != want.Spec.CIDRs[0] {
		k.config.Log.Warn("the range of service addresses is another than before: services keep the addresses that they have, new ones get theirs from the new range",
			"before", have.Spec.CIDRs, "now", want.Spec.CIDRs)
		err = k.replaceRange(ctx, have)
		have = nil
	}
	if err == nil && have == nil {
		if err = k.ensure(ctx, k.config.ServiceCIDRs, want, nil); err == nil {
			have, err = k.readRange(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("keeping the range of service addresses: %w", err)
	}
	if have == nil || have.DeletionTimestamp != nil || meta.FindStatusCondition(have.Status.Conditions, networkingv1.ServiceCIDRConditionReady) != nil {
		return nil
	}
	have = have.DeepCopy()
	have.Status.Conditions = append(have.Status.Conditions, servicecidr.Ready(k.config.Wall.Now()))
	_, _, err = k.config.ServiceCIDRStatus.Update(ctx, have.Name, rest.DefaultUpdatedObjectInfo(have), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("saying that the range of service addresses is ready: %w", err)
	}
	return nil
}

// readRange returns the object of the configured range, nil where there is none.
func (k *Keeper) readRange(ctx context.Context) (*networkingv1.ServiceCIDR, error) {
	return read[*networkingv1.ServiceCIDR](ctx, k.config.ServiceCIDRs, "", service.DefaultCIDR)
}

// replaceRange removes an object that its controller would hold while it is used.
func (k *Keeper) replaceRange(ctx context.Context, have *networkingv1.ServiceCIDR) error {
	free := have.DeepCopy()
	free.Finalizers = slices.DeleteFunc(free.Finalizers, func(f string) bool { return f == servicecidr.Finalizer })
	_, _, err := k.config.ServiceCIDRs.Update(ctx, free.Name, rest.DefaultUpdatedObjectInfo(free), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err == nil {
		_, _, err = k.config.ServiceCIDRs.Delete(ctx, free.Name, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{})
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// keepService keeps the service kubernetes. One with another address than the range's first
// makes way: certificates and routes are made for that one.
func (k *Keeper) keepService(ctx context.Context) error {
	want := k.service(kubernetes)
	have, err := read[*corev1.Service](ctx, k.config.Services, want.Namespace, want.Name)
	if err == nil && have != nil && have.Spec.ClusterIP != want.Spec.ClusterIP {
		_, _, err = k.config.Services.Delete(request.WithNamespace(ctx, want.Namespace), want.Name, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("keeping %T %s: %w", want, want.Name, err)
	}
	return k.ensure(ctx, k.config.Services, want, mendService)
}

// read returns an object, nil where there is none.
func read[T resource.Object](ctx context.Context, from Storage, namespace, name string) (T, error) {
	var none T
	obj, err := from.Get(request.WithNamespace(ctx, namespace), name, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	o, ok := obj.(T)
	if !ok {
		return none, fmt.Errorf("%s is a %T", name, obj)
	}
	return o, nil
}
