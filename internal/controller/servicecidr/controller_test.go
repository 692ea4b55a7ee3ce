package servicecidr

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
)

func addresses(name string, deleted bool, cidrs ...string) *networkingv1.ServiceCIDR {
	r := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: cidrs}}
	if deleted {
		now := metav1.Now()
		r.DeletionTimestamp, r.Finalizers = &now, []string{"example.com/hold", Finalizer}
	}
	return r
}

func address(ip, manager string) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: ip, Labels: map[string]string{networkingv1.LabelManagedBy: manager}}}
}

func TestRangesAreHeldWhileTheyAreUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(
			addresses("new", false, "10.1.0.0/24"),
			addresses("used", true, "10.2.0.0/24"), address("10.2.0.9", manager),
			addresses("inside", true, "10.3.0.0/24"), addresses("outside", false, "10.3.0.0/16"), address("10.3.0.9", manager),
			addresses("empty", true, "10.4.0.0/24"), address("10.4.0.9", "somebody"),
		)
		ctx, cancel := context.WithCancel(t.Context())
		factory := informers.NewSharedInformerFactory(client, 0)
		c := New(env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
		factory.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		check := func(name string, held bool, reason string, after time.Duration) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			r, err := client.NetworkingV1().ServiceCIDRs().Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			ready := meta.FindStatusCondition(r.Status.Conditions, networkingv1.ServiceCIDRConditionReady)
			if slices.Contains(r.Finalizers, Finalizer) != held || ready == nil && reason != "-" || ready != nil && ready.Reason != reason {
				t.Errorf("%s: finalizers %v, condition %+v", name, r.Finalizers, ready)
			}
		}
		check("new", true, "", time.Second)
		check("outside", true, "", 0)
		check("used", true, networkingv1.ServiceCIDRReasonTerminating, 0)
		check("inside", true, "-", 0)
		check("inside", false, "-", grace)
		check("empty", false, "-", 0)
		check("used", true, networkingv1.ServiceCIDRReasonTerminating, time.Minute)
		if err := client.NetworkingV1().IPAddresses().Delete(ctx, "10.2.0.9", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		check("used", false, networkingv1.ServiceCIDRReasonTerminating, time.Second)
		r, err := client.NetworkingV1().ServiceCIDRs().Get(ctx, "used", metav1.GetOptions{})
		if err != nil || !slices.Equal(r.Finalizers, []string{"example.com/hold"}) {
			t.Errorf("others' finalizers: %+v, %v", r, err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
}
