package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/wait"
)

// unused is how long an address stays taken that no service has: a request to make that
// service may be on its way, and none takes longer.
const unused = time.Minute

// Repair brings the books on addresses and ports in line with the stored services.
// Call it after the start and every few minutes, one call at a time; it frees what an
// interrupted request left behind, a minute later or when it sees it the second time.
// Several servers may do so at once.
func (s *Storage) Repair(ctx context.Context) error {
	return errors.Join(s.book.mend(ctx), s.book.sweep(ctx), s.repairPorts(ctx))
}

func (s *Storage) repairPorts(ctx context.Context) error {
	missing, err := s.ports.repair(ctx)
	if err != nil {
		return err
	}
	return s.tellPorts(ctx, missing)
}

// Open sees to it that every stored service has its address in the books. It is done by
// whoever first takes an address, too.
func (s *Storage) Open(ctx context.Context) error { return s.book.open(ctx) }

// Follow puts addresses back into the books at once that somebody takes out by hand, until
// ctx ends.
func (s *Storage) Follow(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		err := s.book.follow(ctx)
		if failures++; err == nil {
			failures = 0
		}
		// At the start what is read from may not be filled yet.
		if failures > 1 && ctx.Err() == nil {
			s.log.WarnContext(ctx, "the books of service addresses are not watched, trying again", "error", err)
		}
		wait.Pause(ctx, s.book.wall, time.Second)
	}
}

// follow works until the watch ends.
func (b *book) follow(ctx context.Context) error {
	w, err := b.objects.Watch(clusterWide(ctx), &metainternal.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return fmt.Errorf("watching service addresses: %w", err)
	}
	defer w.Stop()
	for {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				return nil
			}
			if shared, ok := e.Object.(runtime.CacheableObject); ok { // as a watch cache sends them
				e.Object = shared.GetObject()
			}
			if o, ok := e.Object.(*networkingv1.IPAddress); ok && e.Type == watch.Deleted {
				if err := b.restore(ctx, o); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// restore makes an object again whose service has the address still.
func (b *book) restore(ctx context.Context, o *networkingv1.IPAddress) error {
	a, err := netip.ParseAddr(o.Name)
	if err != nil || o.Labels[networkingv1.LabelManagedBy] != manager || o.Spec.ParentRef == nil {
		return nil
	}
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: o.Spec.ParentRef.Namespace, Name: o.Spec.ParentRef.Name}}
	if !heldBy(o, svc) {
		return nil
	}
	return b.mendOne(ctx, svc, a, b.tell)
}

// mend makes the objects of addresses that services have and that nobody holds, or somebody
// who does not have them.
func (b *book) mend(ctx context.Context) error {
	services, err := b.services(ctx)
	if err != nil {
		return fmt.Errorf("listing services: %w", err)
	}
	all, err := b.all(ctx)
	if err != nil {
		return err
	}
	objects := make(map[string]*networkingv1.IPAddress, len(all))
	for i := range all {
		objects[all[i].Name] = &all[i]
	}
	tell := b.tell
	if len(all) == 0 {
		tell = nil // they come from a version that had none
	}
	errs := []error{b.odd(ctx, services)}
	for i := range services {
		for _, a := range addressesOf(&services[i]) {
			if o := objects[a.String()]; o == nil || !heldBy(o, &services[i]) || !maps.Equal(labelsOf(o), labelsOf(addressOf(&services[i], a))) {
				errs = append(errs, b.mendOne(ctx, &services[i], a, tell))
			}
		}
	}
	return errors.Join(errs...)
}

// labelsOf are those labels of an address by which it is found.
func labelsOf(o *networkingv1.IPAddress) map[string]string {
	return map[string]string{"family": o.Labels[networkingv1.LabelIPAddressFamily], "manager": o.Labels[networkingv1.LabelManagedBy]}
}

// mendOne makes the object of an address that a service has, if it has it still, and tells
// of what was wrong. Where two services have the same, the one that holds it stays its holder.
func (b *book) mendOne(ctx context.Context, svc *corev1.Service, a netip.Addr, tell Tell) error {
	svc, err := b.with(ctx, svc.Namespace, svc.Name, a)
	if err != nil || svc == nil {
		return err
	}
	taken, foreign := false, false
	for range 2 {
		err := b.claimStill(ctx, svc, a)
		if err == nil {
			b.log.InfoContext(ctx, "the address of a service was not in the books, it is now", "namespace", svc.Namespace, "service", svc.Name, "address", a)
			switch {
			case !taken:
				tell.aboutService(ctx, svc, "ClusterIPNotAllocated", "Cluster IP [%v]: %s is not allocated; repairing", familyOf(a), a)
			case foreign:
				tell.aboutService(ctx, svc, "ClusterIPNotAllocated", "the ClusterIP [%v]: %s for Service %s/%s has a wrong reference; repairing", familyOf(a), a, svc.Namespace, svc.Name)
			}
		}
		if errors.Is(err, errDropped) {
			return nil // what may be left is swept
		}
		if !errors.Is(err, errTaken) {
			return err
		}
		taken = true
		var other *corev1.Service
		var unknown error
		err = b.remove(ctx, a.String(), func(o *networkingv1.IPAddress) bool {
			foreign = !heldBy(o, svc)
			if !foreign && maps.Equal(labelsOf(o), labelsOf(addressOf(svc, a))) {
				return false // somebody was faster
			}
			if p := o.Spec.ParentRef; foreign && p != nil && p.Group == "" && p.Resource == "services" {
				other, unknown = b.with(ctx, p.Namespace, p.Name, a)
			}
			return other == nil && unknown == nil
		})
		if unknown != nil {
			return unknown
		}
		if other != nil {
			b.log.WarnContext(ctx, "an address is that of two services; recreate this one", "namespace", svc.Namespace, "service", svc.Name, "address", a)
			tell.aboutService(ctx, svc, "ClusterIPAlreadyAllocated", "Cluster IP [%v]:%s was assigned to multiple services; please recreate service", familyOf(a), a)
		}
		if err != nil || other != nil {
			return err
		}
	}
	return nil
}

// errDropped says that a service does not have an address any more.
var errDropped = errors.New("the service has dropped the address")

// claimStill is claim for an address that a service had a moment ago: where it has given it
// back meanwhile, nobody would do so again.
func (b *book) claimStill(ctx context.Context, svc *corev1.Service, a netip.Addr) error {
	if err := b.claim(ctx, svc, a, false); err != nil {
		return err
	}
	still, err := b.with(ctx, svc.Namespace, svc.Name, a)
	if err != nil || still != nil {
		return err
	}
	return errors.Join(errDropped, b.release(ctx, svc, []netip.Addr{a}))
}

// with returns the service of a name if it has an address, else nil.
func (b *book) with(ctx context.Context, namespace, name string, a netip.Addr) (*corev1.Service, error) {
	svc, err := b.service(ctx, namespace, name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking at service %s/%s: %w", namespace, name, err)
	}
	for _, its := range addressesOf(svc) {
		if its == a {
			return svc, nil
		}
	}
	return nil, nil
}

// sweep removes the objects of addresses that were taken for a service and that it does
// not have.
func (b *book) sweep(ctx context.Context) error {
	all, err := b.all(ctx) // before the services: who has an address took it before
	if err != nil {
		return err
	}
	services, err := b.services(ctx)
	if err != nil {
		return fmt.Errorf("listing services: %w", err)
	}
	held, named := map[string]bool{}, map[networkingv1.ParentReference]*corev1.Service{}
	for i := range services {
		named[*addressOf(&services[i], netip.Addr{}).Spec.ParentRef] = &services[i]
		for _, a := range addressesOf(&services[i]) {
			held[a.String()] = true
		}
	}
	var errs []error
	for i := range all {
		o := &all[i]
		if held[o.Name] || o.Labels[networkingv1.LabelManagedBy] != manager || b.wall.Since(o.CreationTimestamp.Time) < unused {
			continue
		}
		b.log.InfoContext(ctx, "an address that no service has is free again", "address", o.Name)
		b.tell.leaked(ctx, o, named[ptr.Deref(o.Spec.ParentRef, networkingv1.ParentReference{})])
		errs = append(errs, b.remove(ctx, o.Name, func(now *networkingv1.IPAddress) bool { return now.UID == o.UID }))
	}
	return errors.Join(errs...)
}

// addressesOf are the cluster addresses that a service has.
func addressesOf(s *corev1.Service) (all []netip.Addr) {
	if !takesAddress(s) {
		return nil
	}
	for _, ip := range s.Spec.ClusterIPs {
		if a, err := netip.ParseAddr(ip); err == nil {
			all = append(all, a.Unmap().WithZone(""))
		}
	}
	return all
}
