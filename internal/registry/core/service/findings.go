package service

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// Finding is what a repair has found of a service or an address, in the words of upstream's
// events.
type Finding struct {
	About corev1.ObjectReference
	// By is what has found it.
	By, Action, Reason, Message string
}

// Tell hears of findings, the same each time that it is found.
type Tell func(context.Context, Finding)

// The names by which upstream tells of them.
const (
	byAddresses = "ipallocator-repair-controller"
	byPorts     = "portallocator-repair-controller"
)

// maxFindings bounds how many services a repair tells of that are out of range: after a
// change of the range all are.
const maxFindings = 100

// aboutService tells of an address of a service.
func (t Tell) aboutService(ctx context.Context, s *corev1.Service, reason, format string, args ...any) {
	action := "ClusterIPAllocation"
	if reason == "ClusterIPNotValid" {
		action = "ClusterIPValidation"
	}
	t.say(ctx, Finding{referenceTo(s), byAddresses, action, reason, fmt.Sprintf(format, args...)})
}

// aboutPort tells of a node port of a service.
func (t Tell) aboutPort(ctx context.Context, s *corev1.Service, reason, format string, args ...any) {
	t.say(ctx, Finding{referenceTo(s), byPorts, "PortAllocation", reason, fmt.Sprintf(format, args...)})
}

func (t Tell) say(ctx context.Context, f Finding) {
	if t != nil {
		t(ctx, f)
	}
}

func referenceTo(s *corev1.Service) corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: s.Namespace, Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion}
}

// leaked tells of an address that no service has. its is the service that it names, nil
// where there is none.
func (t Tell) leaked(ctx context.Context, o *networkingv1.IPAddress, its *corev1.Service) {
	f := Finding{
		About: corev1.ObjectReference{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "IPAddress", Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion},
		By:    byAddresses, Action: "IPAddressAllocation", Reason: "IPAddressNotAllocated",
	}
	switch p := o.Spec.ParentRef; {
	case p == nil || p.Group != "" || p.Resource != "services":
		f.Message = fmt.Sprintf("IPAddress %s appears to have been modified, not referencing a Service %v: cleaning up", o.Name, p)
	case its == nil:
		f.Message = fmt.Sprintf("IPAddress: %s for Service %s/%s appears to have leaked: cleaning up", o.Name, p.Namespace, p.Name)
	default:
		f.Reason = "IPAddressWrongReference"
		f.Message = fmt.Sprintf("IPAddress: %s for Service %s/%s has a wrong reference; cleaning up", o.Name, p.Namespace, p.Name)
	}
	t.say(ctx, f)
}

// odd tells of what a service has in place of a cluster address, and of addresses that are
// of no range.
func (b *book) odd(ctx context.Context, services []corev1.Service) error {
	ranges, err := allRanges(ctx, b.own.prefix, b.ranges)
	if err != nil {
		return err
	}
	outside := 0
	for i := range services {
		s := &services[i]
		if !takesAddress(s) {
			continue
		}
		for _, text := range s.Spec.ClusterIPs {
			a, err := netip.ParseAddr(text)
			if err != nil {
				b.tell.aboutService(ctx, s, "ClusterIPNotValid", "Cluster IP %s is not a valid IP; please recreate Service", text)
				continue
			}
			if a = a.Unmap().WithZone(""); within(ranges, a) {
				continue
			}
			if outside++; outside <= maxFindings {
				b.tell.aboutService(ctx, s, "ClusterIPOutOfRange", "Cluster IP [%v]: %s is not within any configured Service CIDR; please recreate service", familyOf(a), a)
			}
		}
	}
	if outside > maxFindings {
		b.log.WarnContext(ctx, "services have addresses of no range, not all of them were told of it", "services", outside, "told", maxFindings)
	}
	return nil
}

func within(ranges []netip.Prefix, a netip.Addr) bool {
	for _, p := range ranges {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// tellPorts tells of node ports that are out of range or those of several services, and of
// missing ones, which were not in the books.
func (s *Storage) tellPorts(ctx context.Context, missing []int) error {
	services, err := s.all(ctx)
	if err != nil {
		return fmt.Errorf("listing the holders of %s: %w", s.ports.name, err)
	}
	repaired, holders, outside := map[int]bool{}, map[int]bool{}, 0
	for _, n := range missing {
		repaired[n+s.nodePorts.First] = true
	}
	for i := range services {
		svc := &services[i]
		for _, port := range portsOf(svc) {
			switch {
			case port < s.nodePorts.First || port > s.nodePorts.Last:
				if outside++; outside <= maxFindings {
					s.tell.aboutPort(ctx, svc, "PortOutOfRange", "Port %d is not within the port range %s; please recreate service", port, s.nodePorts)
				}
			case holders[port]:
				s.tell.aboutPort(ctx, svc, "PortAlreadyAllocated", "Port %d was assigned to multiple services; please recreate service", port)
			case repaired[port]:
				s.tell.aboutPort(ctx, svc, "PortNotAllocated", "Port %d is not allocated; repairing", port)
			}
			holders[port] = true
		}
	}
	return nil
}
