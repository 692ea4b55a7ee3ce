package registration

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/wait"
)

const (
	// leaseSeconds is how long the node counts as alive after a renewal.
	leaseSeconds = 40
	// renewEvery is a quarter of it.
	renewEvery = 10 * time.Second
)

// keepLease renews the node's lease until ctx ends.
func (r *Registrar) keepLease(ctx context.Context) {
	var lease *coordinationv1.Lease
	for {
		next, err := r.renew(ctx, lease)
		pause := renewEvery
		if err != nil && ctx.Err() == nil {
			r.cfg.Log.Warn("node lease not renewed", "node", r.cfg.NodeName, "error", err)
			pause = retryEvery
		}
		lease = next
		if !wait.Pause(ctx, r.cfg.Wall, pause) {
			return
		}
	}
}

// renew updates the lease as last seen, or finds or makes it when it is not known.
func (r *Registrar) renew(ctx context.Context, last *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	leases := r.cfg.Client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	if last == nil {
		var err error
		last, err = leases.Get(ctx, r.cfg.NodeName, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: r.cfg.NodeName, Namespace: corev1.NamespaceNodeLease}}
			r.fill(lease)
			if lease, err = leases.Create(ctx, lease, metav1.CreateOptions{}); err != nil {
				return nil, fmt.Errorf("making lease: %w", err)
			}
			return lease, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading lease: %w", err)
		}
	}
	next := last.DeepCopy()
	r.fill(next)
	next, err := leases.Update(ctx, next, metav1.UpdateOptions{})
	if err != nil {
		return nil, fmt.Errorf("renewing lease: %w", err)
	}
	return next, nil
}

// fill stamps a lease, and lets it go with its node once the node is known.
func (r *Registrar) fill(lease *coordinationv1.Lease) {
	seconds, now := int32(leaseSeconds), metav1.NewMicroTime(r.cfg.Wall.Now())
	lease.Spec.HolderIdentity = &r.cfg.NodeName
	lease.Spec.LeaseDurationSeconds = &seconds
	lease.Spec.RenewTime = &now
	if node := r.Node(); node != nil && len(lease.OwnerReferences) == 0 {
		lease.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID,
		}}
	}
}
