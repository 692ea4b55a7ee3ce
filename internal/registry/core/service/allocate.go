package service

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/util/dryrun"

	"laterna.dev/laterna/internal/registry/bounds"
)

// claims are the addresses and the numbers of ports that one request took and, once it is
// done, gives back.
type claims struct {
	ips   []netip.Addr
	ports []int
}

// beginCreate gives a new service what it asks for, before it is validated.
func (s *Storage) beginCreate(ctx context.Context, obj runtime.Object, options *metav1.CreateOptions) (genericregistry.FinishFunc, error) {
	svc := obj.(*corev1.Service)
	settle(svc, nil)
	return s.begin(ctx, svc, nil, dryrun.IsDryRun(options.DryRun))
}

// beginUpdate gives a changed service what it asks for anew, and takes back what it
// no longer has when the update is stored.
func (s *Storage) beginUpdate(ctx context.Context, obj, old runtime.Object, options *metav1.UpdateOptions) (genericregistry.FinishFunc, error) {
	if _, err := s.checks(ctx, obj, old, options); err != nil {
		return nil, err
	}
	svc, before := obj.(*corev1.Service), old.(*corev1.Service)
	// The store asks again where somebody else was faster.
	outcomeOf(ctx).is(ctx, false)
	settle(svc, before)
	return s.begin(ctx, svc, before, dryrun.IsDryRun(options.DryRun))
}

func (s *Storage) begin(ctx context.Context, svc, old *corev1.Service, dry bool) (genericregistry.FinishFunc, error) {
	if errs := settleFamilies(svc, old, s.family); len(errs) > 0 {
		return nil, refused(svc, errs)
	}
	held := s.held(old)
	taken, err := s.claim(ctx, svc, held, dry)
	if err != nil {
		return nil, err
	}
	if dry {
		return func(context.Context, bool) {}, nil
	}
	return func(ctx context.Context, stored bool) {
		if !stored {
			s.release(ctx, svc, taken)
			return
		}
		// This is called before an update is stored, and it may not come to that: what it
		// gives up is given back only then.
		outcomeOf(ctx).then(ctx, func(ctx context.Context, stored bool) {
			if !stored {
				s.release(ctx, svc, taken)
				return
			}
			kept := s.held(svc)
			s.release(ctx, svc, claims{ips: without(held.ips, kept.ips), ports: without(held.ports, kept.ports)})
		})
	}, nil
}

// held returns what a stored service holds; nothing for nil.
func (s *Storage) held(svc *corev1.Service) claims {
	if svc == nil {
		return claims{}
	}
	var c claims
	c.ips = addressesOf(svc)
	for _, port := range portsOf(svc) {
		c.ports = append(c.ports, port-s.nodePorts.First)
	}
	return c
}

// claim takes what svc wants beyond what it holds and writes it into svc. On an
// error nothing is taken.
func (s *Storage) claim(ctx context.Context, svc *corev1.Service, held claims, dry bool) (claims, error) {
	ips, err := s.claimAddress(ctx, svc, held.ips, dry)
	if err != nil {
		return claims{}, err
	}
	ports, err := s.claimPorts(ctx, svc, held.ports, dry)
	if err != nil {
		s.release(ctx, svc, claims{ips: ips})
		return claims{}, err
	}
	return claims{ips: ips, ports: ports}, nil
}

func (s *Storage) claimAddress(ctx context.Context, svc *corev1.Service, held []netip.Addr, dry bool) ([]netip.Addr, error) {
	named := len(svc.Spec.ClusterIPs)
	if !takesAddress(svc) || named > 1 || named == 1 && svc.Spec.ClusterIP == "" {
		return nil, nil // what is wrong with the latter two, validation words
	}
	if svc.Spec.ClusterIP == "" {
		a, err := s.book.pick(ctx, svc, dry)
		if err != nil {
			return nil, apierrors.NewInternalError(fmt.Errorf("failed to allocate a serviceIP for Service %q: %w", svc.Name, err))
		}
		svc.Spec.ClusterIP = a.String()
		svc.Spec.ClusterIPs = []string{svc.Spec.ClusterIP}
		return claimed(dry, a), nil
	}
	a, err := netip.ParseAddr(svc.Spec.ClusterIP)
	if err != nil || slices.Contains(held, a) {
		return nil, nil // an address that is none is for validation, too
	}
	err = s.book.take(ctx, svc, a, dry)
	var outside *outsideError
	switch {
	case errors.Is(err, errTaken) || errors.As(err, &outside):
		return nil, addressRefused(svc, err)
	case err != nil:
		return nil, apierrors.NewInternalError(fmt.Errorf("allocating %s: %w", a, err))
	}
	return claimed(dry, a), nil
}

// claimed is what has to be given back of what was claimed.
func claimed[T any](dry bool, all ...T) []T {
	if dry {
		return nil
	}
	return all
}

// takenError says that a port is held by another service.
type takenError struct{ message string }

func (e *takenError) Error() string { return e.message }

func take(bits bitmap, n int, message string) error {
	if bits.has(n) {
		return &takenError{message}
	}
	bits.set(n)
	return nil
}

func addressRefused(svc *corev1.Service, err error) error {
	msg := fmt.Sprintf("failed to allocate IP %v: %v", svc.Spec.ClusterIP, err)
	return refused(svc, field.ErrorList{field.Invalid(field.NewPath("spec", "clusterIPs"), svc.Spec.ClusterIPs, msg)})
}

func refused(svc *corev1.Service, errs field.ErrorList) error {
	return bounds.Invalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), svc.Name, errs)
}

// release gives back what a service had even when the request has ended meanwhile. What it
// cannot give back, Repair frees later.
func (s *Storage) release(ctx context.Context, svc *corev1.Service, c claims) {
	ctx = context.WithoutCancel(ctx)
	if err := errors.Join(s.book.release(ctx, svc, c.ips), s.ports.release(ctx, c.ports)); err != nil {
		s.log.WarnContext(ctx, "service allocation not given back, a later repair will", "error", err)
	}
}

func without[T comparable](all, kept []T) []T {
	var rest []T
	for _, n := range all {
		if !slices.Contains(kept, n) {
			rest = append(rest, n)
		}
	}
	return rest
}

// Update implements rest.Updater. An update that takes away the last finalizer of
// a deleted service ends it.
func (s *Storage) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, force bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	ctx, o := withOutcome(ctx)
	obj, created, err := s.Store.Update(ctx, name, info, create, update, force, options)
	if err == nil || certain(err) {
		o.is(ctx, err == nil)
	}
	if svc, ok := obj.(*corev1.Service); err == nil && ok && svc.DeletionTimestamp != nil && len(svc.Finalizers) == 0 && !dryrun.IsDryRun(options.DryRun) {
		s.gone(ctx, svc)
	}
	return obj, created, err
}

// gone gives back what a service had that is no more, and removes its Endpoints: a new
// service of that name must not lead to the old pods.
func (s *Storage) gone(ctx context.Context, svc *corev1.Service) {
	s.release(ctx, svc, s.held(svc))
	ctx = genericapirequest.WithNamespace(context.WithoutCancel(ctx), svc.Namespace)
	if _, _, err := s.endpoints.Delete(ctx, svc.Name, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		s.log.WarnContext(ctx, "endpoints of a deleted service stay for their controller", "namespace", svc.Namespace, "service", svc.Name, "error", err)
	}
}

// Delete implements rest.GracefulDeleter.
func (s *Storage) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, gone, err := s.Store.Delete(ctx, name, validate, options)
	if svc, ok := obj.(*corev1.Service); err == nil && gone && ok && (options == nil || !dryrun.IsDryRun(options.DryRun)) {
		s.gone(ctx, svc)
	}
	return obj, gone, err
}

// DeleteCollection implements rest.CollectionDeleter.
func (s *Storage) DeleteCollection(ctx context.Context, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions, list *metainternal.ListOptions) (runtime.Object, error) {
	obj, err := s.Store.DeleteCollection(ctx, validate, options, list)
	services, ok := obj.(*corev1.ServiceList)
	if err != nil || !ok || options != nil && dryrun.IsDryRun(options.DryRun) {
		return obj, err
	}
	for i := range services.Items {
		if svc := &services.Items[i]; len(svc.Finalizers) == 0 {
			s.gone(ctx, svc)
		}
	}
	return obj, nil
}

// all lists the services of all namespaces.
func (s *Storage) all(ctx context.Context) ([]corev1.Service, error) {
	obj, err := s.Store.List(genericapirequest.WithNamespace(ctx, metav1.NamespaceAll), &metainternal.ListOptions{})
	if err != nil {
		return nil, err
	}
	list, ok := obj.(*corev1.ServiceList)
	if !ok {
		return nil, fmt.Errorf("listing services gave a %T", obj)
	}
	return list.Items, nil
}

// stored reads a service as the store has it.
func (s *Storage) stored(ctx context.Context, namespace, name string) (*corev1.Service, error) {
	obj, err := s.Store.Get(genericapirequest.WithNamespace(ctx, namespace), name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	svc, ok := obj.(*corev1.Service)
	if !ok {
		return nil, fmt.Errorf("service %s/%s is a %T", namespace, name, obj)
	}
	return svc, nil
}
