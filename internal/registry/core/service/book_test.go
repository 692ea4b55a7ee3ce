package service

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/core/endpoints"
	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

func (s served) want(when string, taken ...string) {
	s.Helper()
	if got := s.takenIPs(); !slices.Equal(got, taken) {
		s.Errorf("%s %q are taken, want %q", when, got, taken)
	}
}

// drop removes the object of an address behind the storage's back.
func (s served) drop(ip string) {
	s.Helper()
	if _, _, err := s.book.objects.Delete(clusterWide(s.ctx), ip, resourcetest.Allow, &metav1.DeleteOptions{}); err != nil {
		s.Fatal(err)
	}
}

func (s served) repair() {
	s.Helper()
	if err := s.Repair(s.ctx); err != nil {
		s.Fatal(err)
	}
}

func TestAddressesAreObjects(t *testing.T) {
	s := serve(t, "10.0.0.0/24")
	s.mustCreate(newService("a", address("10.0.0.9")))
	all, err := s.book.all(s.ctx)
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	o := all[0]
	if o.Name != "10.0.0.9" || o.Labels[networkingv1.LabelIPAddressFamily] != "IPv4" || o.Labels[networkingv1.LabelManagedBy] != "ipallocator.k8s.io" ||
		*o.Spec.ParentRef != (networkingv1.ParentReference{Resource: "services", Namespace: "ns", Name: "a"}) {
		t.Errorf("object %+v", o)
	}
	if _, err := s.create(newService("a", address("10.0.0.11"))); !apierrors.IsAlreadyExists(err) {
		t.Errorf("a second service of the name: %v", err)
	}
	s.want("after a refused creation", "10.0.0.9 ns/a")
	if _, _, err := s.Delete(s.ctx, "a", resourcetest.Allow, &metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Fatal(err)
	}
	s.want("after a dry run of the removal", "10.0.0.9 ns/a")
	if _, _, err := s.Delete(s.ctx, "a", resourcetest.Allow, nil); err != nil {
		t.Fatal(err)
	}
	s.want("after the removal")
}

func TestEndpointsGoWithTheirService(t *testing.T) {
	s := serve(t, "10.0.0.0/24")
	its := store(t, s.env, endpoints.Definition())
	for _, name := range []string{"a", "b"} {
		s.mustCreate(newService(name))
		if _, err := its.Create(s.ctx, &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}, resourcetest.Allow, &metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Delete(s.ctx, "a", resourcetest.Allow, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := its.Get(s.ctx, "a", &metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("endpoints of a service that is gone: %v", err)
	}
	if _, err := its.Get(s.ctx, "b", &metav1.GetOptions{}); err != nil {
		t.Errorf("endpoints of another service: %v", err)
	}
}

// TestOldDataDirectoriesKeepTheirAddresses has services that were stored before addresses
// were objects.
func TestOldDataDirectoriesKeepTheirAddresses(t *testing.T) {
	s := serve(t, "10.0.0.0/29")
	for _, ip := range []string{"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"} {
		s.mustCreate(newService("of"+ip[7:], address(ip)))
		s.drop(ip)
	}
	again := served{t, open(t, s.env, "10.0.0.0/29"), s.ctx, s.env}
	if _, err := again.create(newService("b", address("10.0.0.3"))); err == nil || !strings.Contains(err.Error(), "provided IP is already allocated") {
		t.Errorf("an old service's address: %v", err)
	}
	if got := again.mustCreate(newService("c")).Spec.ClusterIP; got != "10.0.0.6" {
		t.Errorf("the only free address is 10.0.0.6, got %s", got)
	}
	again.want("then", "10.0.0.2 ns/of2", "10.0.0.3 ns/of3", "10.0.0.4 ns/of4", "10.0.0.5 ns/of5", "10.0.0.6 ns/c")
}

func TestBooksAreRepaired(t *testing.T) {
	s := serve(t, "10.0.0.0/24")
	s.mustCreate(newService("a", address("10.0.0.2")))
	s.mustCreate(newService("b", address("10.0.0.3")))
	s.drop("10.0.0.2")
	s.drop("10.0.0.3")
	put := func(o *networkingv1.IPAddress) {
		t.Helper()
		if _, err := s.book.objects.Create(clusterWide(s.ctx), o, resourcetest.Allow, &metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	other := newService("gone")
	put(addressOf(other, s.book.own.at(3)))  // b's, in the name of a service that is gone
	put(addressOf(other, s.book.own.at(77))) // left by a server that was killed
	foreign := addressOf(other, s.book.own.at(99))
	foreign.Labels, foreign.Spec.ParentRef.Resource = nil, "gateways"
	put(foreign)
	s.repair()
	s.want("after a repair", "10.0.0.2 ns/a", "10.0.0.3 ns/b", "10.0.0.99 ns/gone")

	// What a request has just taken is not yet free.
	s.book.wall = clock.WallOf(clocktesting.NewFakeClock(time.Now()))
	put(addressOf(other, s.book.own.at(78)))
	s.repair()
	s.want("with a request on its way", "10.0.0.2 ns/a", "10.0.0.3 ns/b", "10.0.0.78 ns/gone", "10.0.0.99 ns/gone")
}

func TestAddressesTakenOutByHandComeBack(t *testing.T) {
	s := serve(t, "10.0.0.0/24")
	s.mustCreate(newService("a", address("10.0.0.2")))
	s.mustCreate(newService("b", address("10.0.0.3")))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Follow(ctx)
	}()
	if _, _, err := s.Delete(s.ctx, "b", resourcetest.Allow, nil); err != nil {
		t.Fatal(err)
	}
	// What is taken out before the watch begins is not seen: it is put back here, and taken
	// out again.
	for range 200 {
		s.drop("10.0.0.2")
		time.Sleep(50 * time.Millisecond)
		if len(s.takenIPs()) > 0 {
			break
		}
		if err := s.book.claim(s.ctx, newService("a"), s.book.own.at(2), false); err != nil {
			t.Fatal(err)
		}
	}
	s.want("after a while", "10.0.0.2 ns/a")
	cancel()
	<-done
}

// TestWhatIsSeenLateChangesNothing has the removal of an object seen when its service has
// another one by then, and when the service gives the address back at the same moment.
func TestWhatIsSeenLateChangesNothing(t *testing.T) {
	s := serve(t, "10.0.0.0/24")
	svc := s.mustCreate(newService("a", address("10.0.0.2")))
	only := func() networkingv1.IPAddress {
		t.Helper()
		all, err := s.book.all(s.ctx)
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		return all[0]
	}
	before := only()
	if err := s.book.restore(s.ctx, &before); err != nil {
		t.Fatal(err)
	}
	if after := only(); after.UID != before.UID {
		t.Error("the object was made anew")
	}
	if _, _, err := s.Delete(s.ctx, "a", resourcetest.Allow, nil); err != nil {
		t.Fatal(err)
	}
	stored, asked := s.book.service, 0
	s.book.service = func(ctx context.Context, namespace, name string) (*corev1.Service, error) {
		if asked++; asked == 1 {
			return svc, nil
		}
		return stored(ctx, namespace, name)
	}
	if err := s.book.restore(s.ctx, &before); err != nil {
		t.Fatal(err)
	}
	s.want("when the service has gone meanwhile")
}

// TestTwoServicesOfOneAddress come from a store that somebody has edited.
func TestTwoServicesOfOneAddress(t *testing.T) {
	s := serve(t, "10.0.0.0/24")
	s.mustCreate(newService("first", address("10.0.0.2")))
	s.drop("10.0.0.2")
	s.mustCreate(newService("second", address("10.0.0.2")))
	s.repair()
	s.want("after a repair", "10.0.0.2 ns/second")
	if _, _, err := s.Delete(s.ctx, "first", resourcetest.Allow, nil); err != nil {
		t.Fatal(err)
	}
	s.want("when the other is gone", "10.0.0.2 ns/second")
}

func TestMoreRangesWidenTheFirst(t *testing.T) {
	s := serve(t, "10.0.0.0/29")
	add := func(name string, cidrs ...string) *networkingv1.ServiceCIDR {
		t.Helper()
		obj, err := s.book.ranges.Create(clusterWide(s.ctx), &networkingv1.ServiceCIDR{
			ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{"example.com/hold"}}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: cidrs},
		}, resourcetest.Allow, &metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return obj.(*networkingv1.ServiceCIDR)
	}
	add(DefaultCIDR, "10.0.0.0/29")
	add("six", "fd00::/112")
	more := add("more", "10.1.0.0/29", "fd01::/112")
	for _, name := range strings.Fields("a b c d e") {
		if got := s.mustCreate(newService(name)).Spec.ClusterIP; !strings.HasPrefix(got, "10.0.0.") {
			t.Errorf("%s is not of the first range, which has room", got)
		}
	}
	s.mustCreate(newService("g", address("10.1.0.1")))
	if got := s.mustCreate(newService("f")).Spec.ClusterIP; !strings.HasPrefix(got, "10.1.0.") {
		t.Errorf("%s is not of the second range", got)
	}
	if _, err := s.create(newService("h", address("10.2.0.1"))); err == nil || !strings.Contains(err.Error(), "The range of valid IPs is 10.0.0.0/29, 10.1.0.0/29") {
		t.Errorf("an address of neither: %v", err)
	}
	if _, _, err := s.book.ranges.Delete(clusterWide(s.ctx), more.Name, resourcetest.Allow, &metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.create(newService("i")); err == nil || !strings.Contains(err.Error(), "range is full") {
		t.Errorf("from a range that is deleted: %v", err)
	}
	if _, _, err := s.Delete(s.ctx, "f", resourcetest.Allow, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.book.ranges.Delete(clusterWide(s.ctx), DefaultCIDR, resourcetest.Allow, &metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.book.own.kept = 0
	if _, err := s.create(newService("j")); err == nil || !strings.Contains(err.Error(), "range is full") {
		t.Errorf("from a first range that is deleted: %v", err)
	}
	add("again", "10.0.0.0/29")
	if _, _, err := s.Delete(s.ctx, "a", resourcetest.Allow, nil); err != nil {
		t.Fatal(err)
	}
	if got := s.mustCreate(newService("j")).Spec.ClusterIP; !strings.HasPrefix(got, "10.0.0.") {
		t.Errorf("%s is not of the first range, which is there again", got)
	}
}

func TestServersNeverHandOutTheSame(t *testing.T) {
	one := serve(t, "10.0.0.0/26")
	two := served{t, open(t, one.env, "10.0.0.0/26"), one.ctx, one.env}
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for i, s := range []served{one, two, one, two} {
		wg.Go(func() {
			for n := range 15 {
				svc, err := s.create(newService(string(rune('a'+i)) + string(rune('a'+n))))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				seen[svc.Spec.ClusterIP]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for ip, n := range seen {
		if n != 1 {
			t.Errorf("%s is that of %d services", ip, n)
		}
	}
	if len(seen) != 60 || seen["10.0.0.10"] != 0 {
		t.Errorf("%d addresses: %v", len(seen), seen)
	}
	if _, err := two.create(newService("more")); err == nil || !strings.Contains(err.Error(), "range is full") {
		t.Errorf("beyond the last: %v", err)
	}
}

func TestUpdatesOfServicesAreCheckedAsThoseOfOtherKinds(t *testing.T) {
	s := serve(t, "10.0.0.0/24")
	got := s.mustCreate(newService("a"))
	got.Labels = map[string]string{"a b": "c"}
	_, _, err := s.Update(s.ctx, "a", rest.DefaultUpdatedObjectInfo(got), resourcetest.Allow, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.labels") {
		t.Errorf("a bad label: %v", err)
	}
}
