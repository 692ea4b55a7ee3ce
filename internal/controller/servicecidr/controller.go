// Package servicecidr says of ranges of service addresses (ServiceCIDR) when they are ready,
// and lets a deleted one go once no address would be left without a range.
//
// Which addresses services get is decided by internal/registry/core/service; the range that
// the system begins with is made by internal/registry/systemobjects.
package servicecidr

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	networkinglisters "k8s.io/client-go/listers/networking/v1"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

const (
	// Name is the controller's, upstream's for it.
	Name = "service-cidrs-controller"
	// Finalizer holds a range until this controller lets it go.
	Finalizer = "networking.k8s.io/service-cidr-finalizer"

	workers = 1
	// grace is how long a deleted range stays at least: a server that has not yet seen that
	// it is deleted may take an address from it.
	grace = 10 * time.Second
)

// Controller keeps the finalizer and the condition of ranges.
type Controller struct {
	env       env.Env
	loop      *run.Loop
	queue     *queue.Queue // ranges
	ranges    networkinglisters.ServiceCIDRLister
	addresses networkinglisters.IPAddressLister
	update    run.Commit[*networkingv1.ServiceCIDR]
	status    run.Commit[*networkingv1.ServiceCIDR]
}

// New makes a controller. Call it before the informers are started.
func New(e env.Env) *Controller {
	informers, client := e.Informers.Networking().V1(), e.Client.NetworkingV1().ServiceCIDRs()
	c := &Controller{
		env: e, loop: run.New(e, "ranges of service addresses"),
		ranges: informers.ServiceCIDRs().Lister(), addresses: informers.IPAddresses().Lister(),
		update: run.Commits(e, client.Update), status: run.Commits(e, client.UpdateStatus),
	}
	c.queue = c.loop.Queue(workers, c.sync)
	// Whether one may go depends on the others. There are few.
	c.loop.Watch(informers.ServiceCIDRs().Informer(), run.Handlers(func(any) { c.each(func(*networkingv1.ServiceCIDR) bool { return true }) }))
	c.loop.Watch(informers.IPAddresses().Informer(), run.Handlers(func(obj any) {
		if a, ok := run.Last[*networkingv1.IPAddress](obj); ok {
			c.each(func(r *networkingv1.ServiceCIDR) bool { return r.DeletionTimestamp != nil && contains(r, a) })
		}
	}))
	return c
}

// Run works until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// each puts ranges into the queue.
func (c *Controller) each(which func(*networkingv1.ServiceCIDR) bool) {
	all, err := c.ranges.List(labels.Everything())
	if err != nil {
		return // a lister of a cache does not fail
	}
	for _, r := range all {
		if which(r) {
			c.queue.AddObject(r)
		}
	}
}

func (c *Controller) sync(ctx context.Context, name string) error {
	r, err := c.ranges.Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.keep(ctx, r); err != nil && !run.Overtaken(err) {
		return fmt.Errorf("range of service addresses %s: %w", name, err)
	}
	return nil
}

// keep brings the finalizer and the condition of a range to what they should be.
func (c *Controller) keep(ctx context.Context, r *networkingv1.ServiceCIDR) error {
	now := c.env.Wall.Now()
	if r.DeletionTimestamp == nil {
		held := r.DeepCopy()
		if !slices.Contains(held.Finalizers, Finalizer) {
			held.Finalizers = append(held.Finalizers, Finalizer)
		}
		stored, err := c.update(ctx, r, held)
		if err != nil {
			return fmt.Errorf("holding it: %w", err)
		}
		return c.say(ctx, stored, Ready(now))
	}
	used, err := c.used(r)
	if err != nil {
		return err
	}
	if used {
		return c.say(ctx, r, inUse(now))
	}
	if left := grace - now.Sub(r.DeletionTimestamp.Time); left > 0 {
		c.queue.AddAfter(r.Name, left)
		return nil
	}
	free := r.DeepCopy()
	free.Finalizers = slices.DeleteFunc(free.Finalizers, func(f string) bool { return f == Finalizer })
	if _, err := c.update(ctx, r, free); err != nil {
		return fmt.Errorf("letting it go: %w", err)
	}
	return nil
}

// used tells whether an address would be of no range without r.
func (c *Controller) used(r *networkingv1.ServiceCIDR) (bool, error) {
	ranges, err := c.ranges.List(labels.Everything())
	if err != nil {
		return false, err
	}
	others := slices.DeleteFunc(ranges, func(o *networkingv1.ServiceCIDR) bool { return o.Name == r.Name })
	addresses, err := c.addresses.List(labels.Everything())
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(addresses, func(a *networkingv1.IPAddress) bool {
		return contains(r, a) && !slices.ContainsFunc(others, func(o *networkingv1.ServiceCIDR) bool { return contains(o, a) })
	}), nil
}

// say sets the condition of a range where it says something else.
func (c *Controller) say(ctx context.Context, r *networkingv1.ServiceCIDR, condition metav1.Condition) error {
	said := meta.FindStatusCondition(r.Status.Conditions, condition.Type)
	if said != nil && said.Status == condition.Status && said.Reason == condition.Reason && said.Message == condition.Message {
		return nil
	}
	after := r.DeepCopy()
	meta.SetStatusCondition(&after.Status.Conditions, condition)
	if _, err := c.status(ctx, r, after); err != nil {
		return fmt.Errorf("saying how it is: %w", err)
	}
	return nil
}

// Ready is the condition of a range that addresses come from.
func Ready(now time.Time) metav1.Condition {
	return metav1.Condition{
		Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionTrue,
		Message: "Kubernetes Service CIDR is ready", LastTransitionTime: metav1.NewTime(now),
	}
}

// inUse is the condition of one that is deleted and cannot go.
func inUse(now time.Time) metav1.Condition {
	return metav1.Condition{
		Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionFalse, Reason: networkingv1.ServiceCIDRReasonTerminating,
		Message:            "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
		LastTransitionTime: metav1.NewTime(now),
	}
}

// manager is what labels say of addresses that services hold; others hold no range.
const manager = "ipallocator.k8s.io"

// contains tells whether an address that a service holds is of a range.
func contains(r *networkingv1.ServiceCIDR, a *networkingv1.IPAddress) bool {
	address, err := netip.ParseAddr(a.Name)
	if err != nil || a.Labels[networkingv1.LabelManagedBy] != manager {
		return false
	}
	return slices.ContainsFunc(r.Spec.CIDRs, func(cidr string) bool {
		p, err := netip.ParsePrefix(cidr)
		return err == nil && p.Contains(address)
	})
}
