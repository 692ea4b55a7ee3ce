// Package systemobjects keeps the objects that a server itself makes, and makes again when
// somebody has removed or changed them: the system namespaces, the range of service
// addresses, the service kubernetes and its endpoints, the priority classes of the system.
//
// It owns what these objects say. It writes to their storages directly, as nobody; what the
// storages check is in internal/registry/core. Default roles are kept by
// internal/registry/rbac/bootstrap, all else by controllers.
package systemobjects

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/systemnamespaces"
	"laterna.dev/laterna/internal/registry/core/endpoints"
	"laterna.dev/laterna/internal/registry/core/service"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/scheduling/priorityclass"
	"laterna.dev/laterna/internal/wait"
)

const (
	// keptPause is the time between two looks at the objects that the server keeps.
	keptPause = 10 * time.Second
	// repairEvery is after how many looks the books on service addresses and node
	// ports are checked.
	repairEvery = 18
)

// Config is what a Keeper needs. Every field is required.
type Config struct {
	Scheme *runtime.Scheme
	// Namespaces, Services, Endpoints, Slices, Priorities and ServiceCIDRs are the storages
	// of these objects.
	Namespaces, Services, Endpoints, Slices, Priorities, ServiceCIDRs Storage
	ServiceCIDRStatus                                                 rest.Updater
	// Books opens the books on service addresses, which the first start of this version
	// on an old store has to write.
	Books func(context.Context) error
	// Repair brings the books on service addresses and node ports in line; Follow does so
	// at once, until its context ends, where somebody changes them by hand.
	Repair func(context.Context) error
	Follow func(context.Context)
	// Range holds the cluster addresses of services; the kubernetes service has the first.
	Range netip.Prefix
	// Advertise is where pods reach the server. A loopback address cannot be an
	// endpoint: the service then has none.
	Advertise netip.AddrPort
	Wall      clock.Wall
	Log       *slog.Logger
}

// Storage is what the storages of kept objects can do.
type Storage interface {
	rest.Getter
	rest.Creater
	rest.Updater
	rest.GracefulDeleter
}

// Keeper keeps the system's objects. Its methods may be called concurrently.
type Keeper struct{ config Config }

// New returns a Keeper that does nothing yet.
func New(c Config) *Keeper { return &Keeper{c} }

// Keep brings every object to what it should be. It may run concurrently with the
// same work of other servers.
func (k *Keeper) Keep(ctx context.Context) error {
	errs := make(chan error)
	names, priorities := systemnamespaces.Names(), priorityclass.System()
	for _, name := range names {
		go func() { errs <- k.namespace(ctx, name) }()
	}
	for _, class := range priorities {
		go func() { errs <- k.ensure(ctx, k.config.Priorities, class, nil) }()
	}
	go func() { errs <- k.keepRange(ctx) }()
	go func() { errs <- k.config.Books(ctx) }()
	var first error
	for range len(names) + len(priorities) + 2 {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	if first != nil {
		return first
	}
	beside := make(chan error, 1)
	go func() { beside <- k.keepAWS(ctx) }()
	return errors.Join(k.keepAPI(ctx), <-beside)
}

// keepAWS keeps the entrance to STS and IAM.
func (k *Keeper) keepAWS(ctx context.Context) error {
	err := k.ensure(ctx, k.config.Services, k.service(aws), mendService)
	if err != nil || !endpoints.Nameable(k.config.Advertise.Addr()) {
		return err
	}
	return k.keepSlice(ctx, aws)
}

// keepAPI keeps the entrance to the API.
func (k *Keeper) keepAPI(ctx context.Context) error {
	if err := k.keepService(ctx); err != nil {
		return err
	}
	if !endpoints.Nameable(k.config.Advertise.Addr()) {
		return nil
	}
	slice := make(chan error, 1)
	go func() { slice <- k.keepSlice(ctx, kubernetes) }()
	err := k.ensure(ctx, k.config.Endpoints, k.endpoint(), keepEndpoints)
	return errors.Join(err, <-slice)
}

// Run calls Keep again and again until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	var books sync.WaitGroup
	books.Go(func() { k.config.Follow(ctx) })
	defer books.Wait()
	for n := 0; ctx.Err() == nil; n++ {
		wait.Pause(ctx, k.config.Wall, keptPause)
		err := k.Keep(ctx)
		if n%repairEvery == 0 {
			err = errors.Join(err, k.config.Repair(ctx))
		}
		if err != nil && ctx.Err() == nil {
			k.config.Log.Warn("keeping system objects failed", "error", err)
		}
	}
}

func (k *Keeper) namespace(ctx context.Context, name string) error {
	return k.ensure(ctx, k.config.Namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, nil)
}

// ensure creates want when it is missing. mend, when given, brings what is stored
// to what want says and tells whether it had to.
func (k *Keeper) ensure(ctx context.Context, storage Storage, want resource.Object, mend func(have, want runtime.Object) bool) error {
	ctx = request.WithNamespace(ctx, want.GetNamespace())
	have, err := storage.Get(ctx, want.GetName(), &metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		k.config.Scheme.Default(want)
		_, err = storage.Create(ctx, want, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
	case err == nil && mend != nil:
		have = have.DeepCopyObject()
		if mend(have, want) {
			_, _, err = storage.Update(ctx, want.GetName(), rest.DefaultUpdatedObjectInfo(have), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		}
	}
	if err != nil {
		return fmt.Errorf("keeping %T %s: %w", want, want.GetName(), err)
	}
	return nil
}

// entrance names a service and the endpoints through which pods reach the server.
type entrance struct{ namespace, name string }

var (
	// kubernetes leads to the API.
	kubernetes = entrance{metav1.NamespaceDefault, "kubernetes"}
	// aws leads to STS and IAM, which the same listener serves.
	aws = entrance{metav1.NamespaceSystem, "aws"}
)

const (
	apiServicePort = 443
	apiPortName    = "https"
)

// service is that of an entrance. Kubernetes has the first address of the range, others any.
func (k *Keeper) service(e entrance) *corev1.Service {
	var addresses []string
	first := ""
	if e == kubernetes {
		first = service.First(k.config.Range).String()
		addresses = []string{first}
	}
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name:      e.name,
			Namespace: e.namespace,
			Labels:    map[string]string{"component": "apiserver", "provider": e.name},
		},
		Spec: corev1.ServiceSpec{
			Type:            corev1.ServiceTypeClusterIP,
			ClusterIP:       first,
			ClusterIPs:      addresses,
			IPFamilyPolicy:  ptr.To(corev1.IPFamilyPolicySingleStack),
			SessionAffinity: corev1.ServiceAffinityNone,
			Ports: []corev1.ServicePort{{
				Name:       apiPortName,
				Protocol:   corev1.ProtocolTCP,
				Port:       apiServicePort,
				TargetPort: intstr.FromInt32(int32(k.config.Advertise.Port())),
			}},
		},
	}
}

func mendService(have, want runtime.Object) bool {
	h, w := have.(*corev1.Service), want.(*corev1.Service)
	if equality.Semantic.DeepEqual(h.Spec.Ports, w.Spec.Ports) && h.Spec.Type == w.Spec.Type {
		return false
	}
	h.Spec.Ports, h.Spec.Type = w.Spec.Ports, w.Spec.Type
	return true
}

func (k *Keeper) endpoint() *corev1.Endpoints {
	advertise := k.config.Advertise
	return &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{
			Name:      kubernetes.name,
			Namespace: kubernetes.namespace,
			Labels:    map[string]string{discoveryv1.LabelSkipMirror: "true"},
		},
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{IP: advertise.Addr().String()}},
			Ports:     []corev1.EndpointPort{{Name: apiPortName, Port: int32(advertise.Port()), Protocol: corev1.ProtocolTCP}},
		}},
	}
}

func keepEndpoints(have, want runtime.Object) bool {
	h, w := have.(*corev1.Endpoints), want.(*corev1.Endpoints)
	if equality.Semantic.DeepEqual(h.Subsets, w.Subsets) && h.Labels[discoveryv1.LabelSkipMirror] == w.Labels[discoveryv1.LabelSkipMirror] {
		return false
	}
	h.Subsets = w.Subsets
	// Without it they would be mirrored, beside the slice that is kept.
	metav1.SetMetaDataLabel(&h.ObjectMeta, discoveryv1.LabelSkipMirror, w.Labels[discoveryv1.LabelSkipMirror])
	return true
}

// slice says what the endpoints say, for those who read slices.
func (k *Keeper) slice(e entrance) *discoveryv1.EndpointSlice {
	advertise, kind := k.config.Advertise, discoveryv1.AddressTypeIPv4
	if advertise.Addr().Is6() {
		kind = discoveryv1.AddressTypeIPv6
	}
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name:      e.name,
			Namespace: e.namespace,
			Labels:    map[string]string{discoveryv1.LabelServiceName: e.name},
		},
		AddressType: kind,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{advertise.Addr().String()}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}}},
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To(apiPortName), Port: ptr.To(int32(advertise.Port())), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
}

// keepSlice lets a slice with addresses of another family make way: their type cannot
// change.
func (k *Keeper) keepSlice(ctx context.Context, e entrance) error {
	want := k.slice(e)
	inside := request.WithNamespace(ctx, want.Namespace)
	have, err := k.config.Slices.Get(inside, want.Name, &metav1.GetOptions{})
	if s, ok := have.(*discoveryv1.EndpointSlice); ok && err == nil && s.AddressType != want.AddressType {
		_, _, err := k.config.Slices.Delete(inside, want.Name, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("replacing endpoint slice %s: %w", want.Name, err)
		}
	}
	return k.ensure(ctx, k.config.Slices, want, mendSlice)
}

func mendSlice(have, want runtime.Object) bool {
	h, w := have.(*discoveryv1.EndpointSlice), want.(*discoveryv1.EndpointSlice)
	if h.Labels[discoveryv1.LabelServiceName] == w.Name && equality.Semantic.DeepEqual(h.Endpoints, w.Endpoints) && equality.Semantic.DeepEqual(h.Ports, w.Ports) {
		return false
	}
	if h.Labels == nil {
		h.Labels = map[string]string{}
	}
	h.Labels[discoveryv1.LabelServiceName], h.Endpoints, h.Ports = w.Name, w.Endpoints, w.Ports
	return true
}
