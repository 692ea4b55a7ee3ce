package systemobjects

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/systemnamespaces"
)

// store keeps objects by namespace and name, and counts what is written.
type store struct {
	mu      sync.Mutex
	objects map[string]runtime.Object
	writes  []string
	// err is the answer to reads; taken lets every creation come too late.
	err   error
	taken bool
}

var resourceOfAll = schema.GroupResource{Resource: "things"}

func key(ctx context.Context, name string) string {
	return request.NamespaceValue(ctx) + "/" + name
}

func (s *store) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if o, ok := s.objects[key(ctx, name)]; ok {
		return o, nil
	}
	return nil, apierrors.NewNotFound(resourceOfAll, name)
}

func (s *store) New() runtime.Object { return nil }
func (s *store) Destroy()            {}

func (s *store) Create(ctx context.Context, o runtime.Object, _ rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := meta.Accessor(o)
	if err != nil {
		return nil, err
	}
	if s.taken {
		return nil, apierrors.NewAlreadyExists(resourceOfAll, m.GetName())
	}
	s.put("create", key(ctx, m.GetName()), o)
	return o, nil
}

func (s *store) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, _ rest.ValidateObjectFunc, _ rest.ValidateObjectUpdateFunc, _ bool, _ *metav1.UpdateOptions) (runtime.Object, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := info.UpdatedObject(ctx, s.objects[key(ctx, name)])
	if err != nil {
		return nil, false, err
	}
	s.put("update", key(ctx, name), o)
	return o, false, nil
}

func (s *store) Delete(ctx context.Context, name string, _ rest.ValidateObjectFunc, _ *metav1.DeleteOptions) (runtime.Object, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key(ctx, name))
	s.writes = append(s.writes, "delete "+key(ctx, name))
	return nil, true, nil
}

func (s *store) put(verb, key string, o runtime.Object) {
	if s.objects == nil {
		s.objects = map[string]runtime.Object{}
	}
	s.objects[key] = o
	s.writes = append(s.writes, verb+" "+key)
}

// written returns what was written since the last call.
func (s *store) written() []string {
	w := s.writes
	s.writes = nil
	return w
}

// world is a keeper over stores.
type world struct {
	keeper                                                     *Keeper
	namespaces, services, endpoints, slices, priorities, cidrs *store

	opened    int
	repaired  int
	repairErr error
	log       bytes.Buffer
}

func newWorld(advertise string) *world {
	w := &world{namespaces: &store{}, services: &store{}, endpoints: &store{}, slices: &store{}, priorities: &store{}, cidrs: &store{}}
	w.keeper = New(Config{
		Scheme:     runtime.NewScheme(),
		Namespaces: w.namespaces, Services: w.services, Endpoints: w.endpoints, Slices: w.slices, Priorities: w.priorities, ServiceCIDRs: w.cidrs, ServiceCIDRStatus: w.cidrs,
		Books:     func(context.Context) error { w.opened++; return nil },
		Follow:    func(ctx context.Context) { <-ctx.Done() },
		Repair:    func(context.Context) error { w.repaired++; return w.repairErr },
		Range:     netip.MustParsePrefix("10.96.0.0/16"),
		Advertise: netip.MustParseAddrPort(advertise),
		Wall:      clock.Real(),
		Log:       slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	return w
}

func (w *world) stores() []*store {
	return []*store{w.namespaces, w.services, w.endpoints, w.slices, w.priorities, w.cidrs}
}

func (w *world) keep(t *testing.T) {
	t.Helper()
	if err := w.keeper.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

const inDefault = "default/kubernetes"

func (w *world) service() *corev1.Service { return w.services.objects[inDefault].(*corev1.Service) }
func (w *world) endpoint() *corev1.Endpoints {
	return w.endpoints.objects[inDefault].(*corev1.Endpoints)
}
func (w *world) slice() *discoveryv1.EndpointSlice {
	return w.slices.objects[inDefault].(*discoveryv1.EndpointSlice)
}

func TestMissingObjectsAreMade(t *testing.T) {
	w := newWorld("10.0.0.5:6443")
	w.keep(t)
	var want []string
	for _, name := range systemnamespaces.Names() {
		want = append(want, "/"+name)
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(w.namespaces.objects)); !slices.Equal(got, want) {
		t.Errorf("namespaces %q, want %q", got, want)
	}
	if s := w.service().Spec; s.ClusterIP != "10.96.0.1" || len(s.Ports) != 1 || s.Ports[0].Port != 443 || s.Ports[0].TargetPort.IntValue() != 6443 {
		t.Errorf("the service leads elsewhere: %+v", s)
	}
	e := w.endpoint().Subsets
	if len(e) != 1 || e[0].Addresses[0].IP != "10.0.0.5" || e[0].Ports[0].Port != 6443 || e[0].Ports[0].Name != "https" {
		t.Errorf("endpoints %+v", e)
	}
	if s := w.slice(); s.AddressType != discoveryv1.AddressTypeIPv4 || s.Labels[discoveryv1.LabelServiceName] != "kubernetes" || s.Endpoints[0].Addresses[0] != "10.0.0.5" || *s.Ports[0].Port != 6443 {
		t.Errorf("slice %+v", s)
	}
	aws := w.services.objects["kube-system/aws"].(*corev1.Service).Spec
	if s := w.slices.objects["kube-system/aws"].(*discoveryv1.EndpointSlice); aws.ClusterIP != "" || aws.Ports[0].Port != 443 || s.Labels[discoveryv1.LabelServiceName] != "aws" || s.Endpoints[0].Addresses[0] != "10.0.0.5" {
		t.Errorf("STS and IAM are reached by %+v, %+v", aws, s)
	}
	if got := slices.Sorted(maps.Keys(w.priorities.objects)); !slices.Equal(got, []string{"/system-cluster-critical", "/system-node-critical"}) {
		t.Errorf("priority classes %q", got)
	}
	for _, s := range w.stores() {
		s.written()
	}
	w.keep(t)
	for _, s := range w.stores() {
		if again := s.written(); len(again) > 0 {
			t.Errorf("nothing has changed, and yet: %q", again)
		}
	}
}

func TestChangedObjectsAreMendedAndOthersWordsStay(t *testing.T) {
	w := newWorld("10.0.0.5:6443")
	w.keep(t)
	w.service().Annotations = map[string]string{"team": "a"}
	w.service().Spec.Type = corev1.ServiceTypeNodePort
	w.service().Spec.Ports[0].TargetPort.IntVal = 1
	w.endpoint().Annotations = map[string]string{"team": "a"}
	w.endpoint().Subsets[0].Addresses[0].IP = "192.0.2.1"
	w.endpoint().Labels = map[string]string{"team": "a"}
	w.slice().Labels, w.slice().Annotations = nil, map[string]string{"team": "a"}
	w.slice().Endpoints = nil
	w.keep(t)
	if s := w.service(); s.Spec.Type != corev1.ServiceTypeClusterIP || s.Spec.Ports[0].TargetPort.IntVal != 6443 || s.Annotations["team"] != "a" {
		t.Errorf("service %+v", s)
	}
	if e := w.endpoint(); e.Subsets[0].Addresses[0].IP != "10.0.0.5" || e.Annotations["team"] != "a" || e.Labels["team"] != "a" || e.Labels[discoveryv1.LabelSkipMirror] != "true" {
		t.Errorf("endpoints %+v", e)
	}
	if s := w.slice(); s.Labels[discoveryv1.LabelServiceName] != "kubernetes" || len(s.Endpoints) != 1 || s.Annotations["team"] != "a" {
		t.Errorf("slice %+v", s)
	}
}

func TestSliceThatHasLostItsServiceIsGivenItBack(t *testing.T) {
	w := newWorld("10.0.0.5:6443")
	w.keep(t)
	w.slice().Labels = map[string]string{discoveryv1.LabelServiceName: "other", "team": "a"}
	w.keep(t)
	if l := w.slice().Labels; l[discoveryv1.LabelServiceName] != "kubernetes" || l["team"] != "a" {
		t.Errorf("labels %v", l)
	}
}

func TestMendingDoesNotChangeWhatTheStorageHandedOut(t *testing.T) {
	w := newWorld("10.0.0.5:6443")
	w.keep(t)
	cached := w.service()
	cached.Spec.Type = corev1.ServiceTypeNodePort
	w.keep(t)
	if cached.Spec.Type != corev1.ServiceTypeNodePort || w.service() == cached {
		t.Error("the object of a cache was written to")
	}
}

func TestLoopbackAddressIsNoEndpoint(t *testing.T) {
	w := newWorld("127.0.0.1:6443")
	w.keep(t)
	if len(w.services.objects) != 2 || len(w.endpoints.objects)+len(w.slices.objects) != 0 {
		t.Errorf("services %v, endpoints %v, slices %v", w.services.objects, w.endpoints.objects, w.slices.objects)
	}
}

func TestSliceOfAnotherFamilyIsReplaced(t *testing.T) {
	w := newWorld("[2001:db8::1]:6443")
	w.keep(t)
	if s := w.slice(); s.AddressType != discoveryv1.AddressTypeIPv6 {
		t.Fatalf("slice of %s", s.AddressType)
	}
	moved := newWorld("10.0.0.5:6443")
	moved.slices.objects = w.slices.objects
	moved.keep(t)
	got := slices.DeleteFunc(moved.slices.written(), func(w string) bool { return !strings.HasSuffix(w, inDefault) })
	if !slices.Equal(got, []string{"delete " + inDefault, "create " + inDefault}) || moved.slice().AddressType != discoveryv1.AddressTypeIPv4 {
		t.Errorf("written %q, slice of %s", got, moved.slice().AddressType)
	}
}

func TestServersMayMakeTheSameAtOnce(t *testing.T) {
	w := newWorld("10.0.0.5:6443")
	for _, s := range w.stores() {
		s.taken = true
	}
	w.keep(t)
}

func TestFailureNamesTheObject(t *testing.T) {
	for want, broken := range map[string]func(*world) *store{
		"keeping *v1.Namespace ":                 func(w *world) *store { return w.namespaces },
		"keeping *v1.Service kubernetes: ":       func(w *world) *store { return w.services },
		"keeping the range of service addresses": func(w *world) *store { return w.cidrs },
		"keeping *v1.Endpoints kubernetes: ":     func(w *world) *store { return w.endpoints },
		"keeping *v1.EndpointSlice kubernetes: ": func(w *world) *store { return w.slices },
	} {
		w := newWorld("10.0.0.5:6443")
		down := errors.New("the store is down")
		broken(w).err = down
		if err := w.keeper.Keep(t.Context()); !errors.Is(err, down) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
}

func TestRunMakesAgainRepairsAndGoesOnAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("10.0.0.5:6443")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.keeper.Run(ctx)
		}()
		after := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		after(keptPause - time.Second)
		if len(w.services.objects) != 0 || w.repaired != 0 {
			t.Error("Run does at once what the start has just done")
		}
		after(time.Second)
		if len(w.services.objects) != 2 || w.repaired != 1 {
			t.Errorf("services %v, repaired %d times", w.services.objects, w.repaired)
		}
		w.repairErr = errors.New("the books are on fire")
		after(repairEvery * keptPause)
		if w.repaired != 2 || strings.Count(w.log.String(), "the books are on fire") != 1 {
			t.Errorf("repaired %d times, logged %s", w.repaired, w.log.String())
		}
		delete(w.services.objects, inDefault)
		after(keptPause)
		if len(w.services.objects) != 2 {
			t.Error("the removed service was not made again")
		}
		cancel()
		<-ended
	})
}
