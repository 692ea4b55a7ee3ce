package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/network/backends"
	"laterna.dev/laterna/internal/registry/resource"
)

// DefaultCIDR is the name of the ServiceCIDR that holds the configured range.
const DefaultCIDR = "kubernetes"

// manager is what labels say of addresses that services hold.
const manager = "ipallocator.k8s.io"

// book knows who holds which cluster address: an address is held by the service that its
// IPAddress object names, and whoever makes the object first has it. It is safe for
// concurrent use, by several servers too.
type book struct {
	objects  *resource.Store[*networkingv1.IPAddress]
	ranges   *resource.Store[*networkingv1.ServiceCIDR]
	own      span // of the configured range
	services listFunc
	service  func(ctx context.Context, namespace, name string) (*corev1.Service, error)
	wall     clock.Wall
	log      *slog.Logger
	tell     Tell

	opening sync.Mutex
	opened  bool
}

// errTaken says that somebody has the address.
var errTaken = errors.New("provided IP is already allocated")

// open sees to it, once, that every stored service has its objects: data directories of
// versions without them have none. Nothing is handed out before.
func (b *book) open(ctx context.Context) error {
	b.opening.Lock()
	defer b.opening.Unlock()
	if b.opened {
		return nil
	}
	if err := b.mend(ctx); err != nil {
		return fmt.Errorf("opening the book of service addresses: %w", err)
	}
	b.opened = true
	return nil
}

// spans are the ranges that addresses come from now, the configured one first. The cache
// may be a moment behind, which fresh avoids.
func (b *book) spans(ctx context.Context, fresh bool) ([]span, error) {
	version := "0"
	if fresh {
		version = ""
	}
	all, err := cidrs(ctx, b.ranges, version)
	if err != nil {
		return nil, err
	}
	return b.spansOf(all), nil
}

// Guard says which addresses the server may dial for somebody else: none of the ranges of
// services, and not where its store answers.
func Guard(configured netip.Prefix, stored *resource.Store[*networkingv1.ServiceCIDR], stores []string) backends.Guard {
	return backends.Guard{Stores: stores, Services: func(ctx context.Context) ([]netip.Prefix, error) {
		return allRanges(ctx, configured, stored)
	}}
}

// allRanges are all ranges that services have addresses of: the configured one, and those of
// stored ServiceCIDRs whatever state they are in.
func allRanges(ctx context.Context, configured netip.Prefix, stored *resource.Store[*networkingv1.ServiceCIDR]) ([]netip.Prefix, error) {
	all, err := cidrs(ctx, stored, "0")
	if err != nil {
		return nil, err
	}
	found := []netip.Prefix{configured.Masked()}
	for _, c := range all {
		for _, cidr := range c.Spec.CIDRs {
			if p, err := netip.ParsePrefix(cidr); err == nil {
				found = append(found, p.Masked())
			}
		}
	}
	return found, nil
}

// cidrs are the objects of the ranges, by name. version is that of a list.
func cidrs(ctx context.Context, stored *resource.Store[*networkingv1.ServiceCIDR], version string) ([]networkingv1.ServiceCIDR, error) {
	obj, err := stored.List(clusterWide(ctx), &metainternal.ListOptions{ResourceVersion: version})
	if err != nil {
		return nil, fmt.Errorf("listing ranges of service addresses: %w", err)
	}
	list, ok := obj.(*networkingv1.ServiceCIDRList)
	if !ok {
		return nil, fmt.Errorf("ranges of service addresses are a %T", obj)
	}
	slices.SortFunc(list.Items, func(a, b networkingv1.ServiceCIDR) int { return strings.Compare(a.Name, b.Name) })
	return list.Items, nil
}

// spansOf leaves out what is of another family, or not ready, or on its way out; the
// configured range only where its object is on its way out and no other says the same.
func (b *book) spansOf(all []networkingv1.ServiceCIDR) []span {
	found := []span{b.own}
	var ends, stays bool
	for _, c := range all {
		ready := c.DeletionTimestamp == nil && !meta.IsStatusConditionFalse(c.Status.Conditions, networkingv1.ServiceCIDRConditionReady)
		for _, cidr := range c.Spec.CIDRs {
			prefix, err := netip.ParsePrefix(cidr)
			if err != nil || familyOf(prefix.Addr()) != familyOf(b.own.prefix.Addr()) {
				continue
			}
			s, ok := newSpan(prefix)
			switch {
			case s.prefix == b.own.prefix:
				stays = stays || ready
				ends = ends || c.Name == DefaultCIDR && c.DeletionTimestamp != nil
			case ok && ready:
				found = append(found, s)
			}
		}
	}
	if ends && !stays {
		return found[1:]
	}
	return found
}

// take takes the address that a service names.
func (b *book) take(ctx context.Context, svc *corev1.Service, a netip.Addr, dry bool) error {
	if err := b.open(ctx); err != nil {
		return err
	}
	if b.promised(svc, a) {
		return errTaken
	}
	var ranges []string
	for _, fresh := range []bool{false, true} {
		spans, err := b.spans(ctx, fresh)
		if err != nil {
			return err
		}
		ranges = nil
		for _, s := range spans {
			if s.number(a) > 0 {
				return b.claim(ctx, svc, a, dry)
			}
			ranges = append(ranges, s.prefix.String())
		}
	}
	return &outsideError{a, ranges}
}

// promised tells whether an address is that of kube-dns and this is another service: pods are
// told to ask there before there is such a service, and when somebody has deleted it.
func (b *book) promised(svc *corev1.Service, a netip.Addr) bool {
	return a == DNS(b.own.prefix) && (svc.Namespace != metav1.NamespaceSystem || svc.Name != "kube-dns")
}

// outsideError says that an address is of no range.
type outsideError struct {
	address netip.Addr
	ranges  []string
}

func (e *outsideError) Error() string {
	return fmt.Sprintf("the provided IP (%v) is not in the valid range. The range of valid IPs is %s", e.address, strings.Join(e.ranges, ", "))
}

// pick takes a free address, at random so that one just given back is not soon in other
// hands. The configured range is used up before others.
func (b *book) pick(ctx context.Context, svc *corev1.Service, dry bool) (netip.Addr, error) {
	if err := b.open(ctx); err != nil {
		return netip.Addr{}, err
	}
	spans, err := b.spans(ctx, false)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, s := range spans {
		a, err := b.pickOf(ctx, svc, s, dry)
		if !errors.Is(err, errFull) {
			return a, err
		}
	}
	return netip.Addr{}, errFull
}

// guesses is how often an address is tried before anybody counts those that are taken.
const guesses = 4

func (b *book) pickOf(ctx context.Context, svc *corev1.Service, s span, dry bool) (netip.Addr, error) {
	upper := s.bands()[0]
	for range guesses {
		if upper.width() == 0 {
			break
		}
		a := s.at(upper.first + rand.Uint64N(upper.width()))
		if b.promised(svc, a) {
			continue
		}
		if err := b.claim(ctx, svc, a, dry); !errors.Is(err, errTaken) {
			return a, err
		}
	}
	taken, err := b.numbers(ctx, s)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, band := range s.bands() {
		width := band.width()
		if width == 0 {
			continue
		}
		start := rand.Uint64N(width)
		for i := range width {
			n := band.first + (start+i)%width
			if taken[n] || b.promised(svc, s.at(n)) {
				continue
			}
			if err := b.claim(ctx, svc, s.at(n), dry); !errors.Is(err, errTaken) {
				return s.at(n), err
			}
		}
	}
	return netip.Addr{}, errFull
}

// numbers are those of a span that are taken.
func (b *book) numbers(ctx context.Context, s span) (map[uint64]bool, error) {
	all, err := b.all(ctx)
	taken := map[uint64]bool{}
	for i := range all {
		if a, err := netip.ParseAddr(all[i].Name); err == nil {
			taken[s.number(a)] = true
		}
	}
	return taken, err
}

// all lists the objects of all addresses.
func (b *book) all(ctx context.Context) ([]networkingv1.IPAddress, error) {
	obj, err := b.objects.List(clusterWide(ctx), &metainternal.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing service addresses: %w", err)
	}
	list, ok := obj.(*networkingv1.IPAddressList)
	if !ok {
		return nil, fmt.Errorf("service addresses are a %T", obj)
	}
	return list.Items, nil
}

// claim makes the object of an address, which is errTaken where there is one. A dry run
// only looks.
func (b *book) claim(ctx context.Context, svc *corev1.Service, a netip.Addr, dry bool) error {
	ctx = clusterWide(ctx)
	if dry {
		_, err := b.objects.Get(ctx, a.String(), &metav1.GetOptions{})
		switch {
		case err == nil:
			return errTaken
		case apierrors.IsNotFound(err):
			return nil
		}
		return fmt.Errorf("looking at address %s: %w", a, err)
	}
	_, err := b.objects.Create(ctx, addressOf(svc, a), rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return errTaken
	case err != nil:
		return fmt.Errorf("taking address %s: %w", a, err)
	}
	return nil
}

// addressOf is the object of an address that a service holds.
func addressOf(svc *corev1.Service, a netip.Addr) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: a.String(), Labels: map[string]string{
			networkingv1.LabelIPAddressFamily: string(familyOf(a)),
			networkingv1.LabelManagedBy:       manager,
		}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{
			Resource: "services", Namespace: svc.Namespace, Name: svc.Name,
		}},
	}
}

// release gives back addresses of a service. One that is somebody else's stays.
func (b *book) release(ctx context.Context, svc *corev1.Service, addresses []netip.Addr) error {
	var errs []error
	for _, a := range addresses {
		err := b.remove(ctx, a.String(), func(o *networkingv1.IPAddress) bool { return heldBy(o, svc) })
		if err != nil {
			errs = append(errs, fmt.Errorf("giving back address %s: %w", a, err))
		}
	}
	return errors.Join(errs...)
}

// heldBy tells whether an address is that of a service.
func heldBy(o *networkingv1.IPAddress, svc *corev1.Service) bool {
	p := o.Spec.ParentRef
	return p != nil && p.Group == "" && p.Resource == "services" && p.Namespace == svc.Namespace && p.Name == svc.Name
}

// errKept ends the removal of an object that is to stay.
var errKept = errors.New("it is somebody else's")

// remove deletes the object of an address if it is still one that may go.
func (b *book) remove(ctx context.Context, name string, may func(*networkingv1.IPAddress) bool) error {
	check := rest.ValidateObjectFunc(func(_ context.Context, obj runtime.Object) error {
		if o, ok := obj.(*networkingv1.IPAddress); !ok || !may(o) {
			return errKept
		}
		return nil
	})
	_, _, err := b.objects.Delete(clusterWide(ctx), name, check, &metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) || errors.Is(err, errKept) {
		return nil
	}
	return err
}

// clusterWide is the context of a request to objects without a namespace.
func clusterWide(ctx context.Context) context.Context {
	return genericapirequest.WithNamespace(ctx, metav1.NamespaceNone)
}
