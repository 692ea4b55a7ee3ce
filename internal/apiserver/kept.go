package apiserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/controller/systemnamespaces"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/core/service"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/wait"
)

const (
	// keptPause is the time between two looks at the objects that the server keeps.
	keptPause = 10 * time.Second
	// repairEvery is after how many looks the books on service addresses and node
	// ports are checked.
	repairEvery = 18
)

// kept are objects that the server itself makes, and makes again when somebody has
// removed or changed them: the system namespaces, the service kubernetes and its
// endpoints. It writes to the storage directly, as nobody.
type kept struct {
	scheme     *runtime.Scheme
	namespaces keptStorage
	services   keptStorage
	endpoints  keptStorage
	// repair brings the books on service addresses and node ports in line.
	repair func(context.Context) error
	config Config
}

// keptStorage is what the storages of kept objects can do.
type keptStorage interface {
	rest.Getter
	rest.Creater
	rest.Updater
}

// newKept returns the objects that the server keeps, in these storages.
func newKept(all *registry.Storages, env resource.Env, c Config) (*kept, error) {
	k := &kept{scheme: env.Scheme, config: c}
	for path, into := range map[string]*keptStorage{"namespaces": &k.namespaces, "services": &k.services, "endpoints": &k.endpoints} {
		var err error
		if *into, err = registry.As[keptStorage](all, corev1.Resource(path)); err != nil {
			return nil, err
		}
	}
	books, err := registry.As[*service.Storage](all, corev1.Resource("services"))
	if err != nil {
		return nil, err
	}
	k.repair = books.Repair
	return k, nil
}

// keep brings every object to what it should be. It may run concurrently with the
// same work of other servers.
func (k *kept) keep(ctx context.Context) error {
	errs := make(chan error)
	names := systemnamespaces.Names()
	for _, name := range names {
		go func() { errs <- k.namespace(ctx, name) }()
	}
	var first error
	for range names {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	if first != nil {
		return first
	}
	if err := k.ensure(ctx, k.services, k.service(), keepService); err != nil {
		return err
	}
	if k.config.Serving.Advertise.Addr().IsLoopback() {
		return nil
	}
	return k.ensure(ctx, k.endpoints, k.endpoint(), keepEndpoints)
}

// keepOn calls keep again and again until ctx ends.
func (k *kept) keepOn(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		wait.Pause(ctx, k.config.Wall, keptPause)
		err := k.keep(ctx)
		if n%repairEvery == 0 {
			err = errors.Join(err, k.repair(ctx))
		}
		if err != nil && ctx.Err() == nil {
			k.config.Log.Warn("keeping system objects failed", "error", err)
		}
	}
}

func (k *kept) namespace(ctx context.Context, name string) error {
	return k.ensure(ctx, k.namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, nil)
}

// ensure creates want when it is missing. mend, when given, brings what is stored
// to what want says and tells whether it had to.
func (k *kept) ensure(ctx context.Context, storage keptStorage, want resource.Object, mend func(have, want runtime.Object) bool) error {
	ctx = request.WithNamespace(ctx, want.GetNamespace())
	have, err := storage.Get(ctx, want.GetName(), &metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		k.scheme.Default(want)
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

// apiService names the service and the endpoints through which pods reach the
// server.
const (
	apiService     = "kubernetes"
	apiServicePort = 443
	apiPortName    = "https"
)

func (k *kept) service() *corev1.Service {
	first := service.First(k.config.Services.Range).String()
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name:      apiService,
			Namespace: metav1.NamespaceDefault,
			Labels:    map[string]string{"component": "apiserver", "provider": "kubernetes"},
		},
		Spec: corev1.ServiceSpec{
			Type:            corev1.ServiceTypeClusterIP,
			ClusterIP:       first,
			ClusterIPs:      []string{first},
			IPFamilyPolicy:  ptr.To(corev1.IPFamilyPolicySingleStack),
			SessionAffinity: corev1.ServiceAffinityNone,
			Ports: []corev1.ServicePort{{
				Name:       apiPortName,
				Protocol:   corev1.ProtocolTCP,
				Port:       apiServicePort,
				TargetPort: intstr.FromInt32(int32(k.config.Serving.Advertise.Port())),
			}},
		},
	}
}

func keepService(have, want runtime.Object) bool {
	h, w := have.(*corev1.Service), want.(*corev1.Service)
	if equality.Semantic.DeepEqual(h.Spec.Ports, w.Spec.Ports) && h.Spec.Type == w.Spec.Type {
		return false
	}
	h.Spec.Ports, h.Spec.Type = w.Spec.Ports, w.Spec.Type
	return true
}

func (k *kept) endpoint() *corev1.Endpoints {
	advertise := k.config.Serving.Advertise
	return &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{
			Name:      apiService,
			Namespace: metav1.NamespaceDefault,
			Labels:    map[string]string{"endpointslice.kubernetes.io/skip-mirror": "true"},
		},
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{IP: advertise.Addr().String()}},
			Ports:     []corev1.EndpointPort{{Name: apiPortName, Port: int32(advertise.Port()), Protocol: corev1.ProtocolTCP}},
		}},
	}
}

func keepEndpoints(have, want runtime.Object) bool {
	h, w := have.(*corev1.Endpoints), want.(*corev1.Endpoints)
	if equality.Semantic.DeepEqual(h.Subsets, w.Subsets) {
		return false
	}
	h.Subsets = w.Subsets
	return true
}
