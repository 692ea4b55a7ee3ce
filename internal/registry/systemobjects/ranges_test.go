package systemobjects

import (
	"net/netip"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (w *world) cidr() *networkingv1.ServiceCIDR {
	return w.cidrs.objects["/kubernetes"].(*networkingv1.ServiceCIDR)
}

func TestTheConfiguredRangeIsAnObject(t *testing.T) {
	w := newWorld("10.0.0.5:6443")
	w.keep(t)
	c := w.cidr()
	if !slices.Equal(c.Spec.CIDRs, []string{"10.96.0.0/16"}) || !slices.Equal(c.Finalizers, []string{"networking.k8s.io/service-cidr-finalizer"}) ||
		!meta.IsStatusConditionTrue(c.Status.Conditions, networkingv1.ServiceCIDRConditionReady) {
		t.Errorf("range %+v", c)
	}
	if got := w.cidrs.written(); !slices.Equal(got, []string{"create /kubernetes", "update /kubernetes"}) || w.opened != 1 {
		t.Errorf("written %q, books opened %d times", got, w.opened)
	}
	// What the controller says of a range stays; so does one that is on its way out.
	c = c.DeepCopy()
	now := metav1.Now()
	c.DeletionTimestamp, c.Status.Conditions = &now, nil
	w.cidrs.objects["/kubernetes"] = c
	w.keep(t)
	if got := w.cidrs.written(); len(got) != 0 {
		t.Errorf("written %q", got)
	}
}

func TestAnotherRangeTakesThePlaceOfTheOld(t *testing.T) {
	w := newWorld("10.0.0.5:6443")
	w.keep(t)
	w.cidr().Finalizers = append(w.cidr().Finalizers, "example.com/hold")
	w.service().Annotations = map[string]string{"team": "a"}
	for _, s := range w.stores() {
		s.written()
	}
	w.keeper.config.Range = netip.MustParsePrefix("10.97.0.0/16")
	w.keep(t)
	if got := w.cidrs.written(); !slices.Equal(got, []string{"update /kubernetes", "delete /kubernetes", "create /kubernetes", "update /kubernetes"}) {
		t.Errorf("written %q", got)
	}
	if c := w.cidr(); !slices.Equal(c.Spec.CIDRs, []string{"10.97.0.0/16"}) || !meta.IsStatusConditionTrue(c.Status.Conditions, networkingv1.ServiceCIDRConditionReady) {
		t.Errorf("range %+v", c)
	}
	if got := w.services.written(); !slices.Equal(got, []string{"delete " + inDefault, "create " + inDefault}) || w.service().Spec.ClusterIP != "10.97.0.1" {
		t.Errorf("written %q, service %+v", got, w.service().Spec)
	}
	w.keep(t)
	if got := append(w.cidrs.written(), w.services.written()...); len(got) != 0 {
		t.Errorf("nothing has changed, and yet: %q", got)
	}
}
