package service

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/resource"
)

// Config says what services may be given.
type Config struct {
	// ClusterIPs is the range of cluster addresses (--service-cluster-ip-range);
	// at least 4 addresses wide. The first is left to the service `kubernetes`.
	ClusterIPs netip.Prefix
	// NodePorts is the range of node ports; zero means 30000-32767.
	NodePorts PortRange
	// Addresses and Ranges are the storages of IPAddresses, which say who holds what, and
	// of ServiceCIDRs, from which services may have addresses besides.
	Addresses *resource.Store[*networkingv1.IPAddress]
	Ranges    *resource.Store[*networkingv1.ServiceCIDR]
	// Endpoints is the storage of Endpoints: those of a service go with it.
	Endpoints rest.GracefulDeleter
	Wall      clock.Wall
	// Log hears of allocations that could not be given back.
	Log *slog.Logger
	// Tell hears of what a repair finds. Optional.
	Tell Tell
}

// PortRange is First to Last, both included.
type PortRange struct{ First, Last int }

func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

var defaultNodePorts = PortRange{First: 30000, Last: 32767}

// First returns the first usable address of a range, which belongs to the service
// `kubernetes`.
func First(clusterIPs netip.Prefix) netip.Addr { return clusterIPs.Masked().Addr().Next() }

// DNS returns the address of a range that belongs to the service `kube-dns`, the tenth as
// everywhere, or none where the range does not have so many.
func DNS(clusterIPs netip.Prefix) netip.Addr {
	addr := clusterIPs.Masked().Addr()
	for range 10 {
		addr = addr.Next()
	}
	if !clusterIPs.Contains(addr) {
		return netip.Addr{}
	}
	return addr
}

// Storage serves services and keeps the books on what they hold. It is safe for
// concurrent use.
type Storage struct {
	*resource.Store[*corev1.Service]
	status    *resource.Subresource[*corev1.Service]
	log       *slog.Logger
	family    corev1.IPFamily
	nodePorts PortRange
	endpoints rest.GracefulDeleter
	book      *book
	ports     *pool
	tell      Tell
	checks    genericregistry.BeginUpdateFunc
}

var (
	_ rest.GracefulDeleter   = &Storage{}
	_ rest.CollectionDeleter = &Storage{}
	_ rest.Updater           = &Storage{}
)

// NewStorage builds the storage of services.
func NewStorage(env resource.Env, config Config) (*Storage, error) {
	store, err := resource.New(Definition(), env)
	if err != nil {
		return nil, err
	}
	if config.NodePorts == (PortRange{}) {
		config.NodePorts = defaultNodePorts
	}
	ranges, err := openRanges(env, store.DestroyFunc)
	if err != nil {
		return nil, err
	}
	store.DestroyFunc = ranges.destroy
	s := &Storage{
		Store:     store,
		status:    store.Subresource(statusRules()),
		log:       config.Log,
		family:    familyOf(config.ClusterIPs.Addr()),
		nodePorts: config.NodePorts,
		endpoints: config.Endpoints,
		tell:      config.Tell,
		checks:    store.BeginUpdate,
	}
	own, ok := newSpan(config.ClusterIPs)
	if !ok || own.last < 2 {
		return nil, fmt.Errorf("service address range %s is too small or too wide: give at least 4 addresses, and no more than a /%d of IPv6", config.ClusterIPs, 128-widest)
	}
	own.kept = 1
	s.book = &book{
		objects: config.Addresses, ranges: config.Ranges, own: own,
		services: s.all, service: s.stored, wall: config.Wall, log: config.Log, tell: config.Tell,
	}
	s.ports = newPortPool(config.NodePorts, ranges.update, s.all)
	// The status subresource is a copy of the store from before this point: it
	// neither takes nor gives back anything.
	store.BeginCreate, store.BeginUpdate = s.beginCreate, s.beginUpdate
	return s, nil
}

// ByPath returns what to serve where.
func (s *Storage) ByPath() map[string]rest.Storage {
	return map[string]rest.Storage{"services": s, "services/status": s.status}
}

// Definition describes services without their status.
func Definition() resource.Definition[*corev1.Service] {
	return resource.Definition[*corev1.Service]{
		GroupVersion:  corev1.SchemeGroupVersion,
		Plural:        "services",
		Singular:      "service",
		ShortNames:    []string{"svc"},
		Categories:    []string{"all"},
		Namespaced:    true,
		New:           func() *corev1.Service { return &corev1.Service{} },
		NewList:       func() runtime.Object { return &corev1.ServiceList{} },
		Default:       setDefaults,
		Rules:         rules(),
		Columns:       columns(),
		ReturnDeleted: true,
		Fields: func(s *corev1.Service) fields.Set {
			return fields.Set{"spec.clusterIP": s.Spec.ClusterIP, "spec.type": string(s.Spec.Type)}
		},
	}
}

func rules() resource.Rules[*corev1.Service] {
	return resource.Rules[*corev1.Service]{
		ValidName:     apivalidation.NameIsDNSLabel, // KEP-5311
		PrepareCreate: func(_ context.Context, s *corev1.Service) { s.Status = corev1.ServiceStatus{} },
		PrepareUpdate: func(_ context.Context, s, old *corev1.Service) { s.Status = statusAfter(s, old) },
		Validate:      func(_ context.Context, s *corev1.Service) field.ErrorList { return validate(s) },
		ValidateUpdate: func(_ context.Context, s, old *corev1.Service) field.ErrorList {
			return append(validateChange(s, old), validate(s)...)
		},
		WarnCreate:          func(_ context.Context, s *corev1.Service) []string { return warnings(s, nil) },
		WarnUpdate:          func(_ context.Context, s, old *corev1.Service) []string { return warnings(s, old) },
		AllowCreateOnUpdate: true,
		Reset:               []string{"status"},
	}
}

// statusAfter keeps the status, but for the addresses of a load balancer that the
// service no longer asks for.
func statusAfter(s, old *corev1.Service) corev1.ServiceStatus {
	status := *old.Status.DeepCopy()
	if old.Spec.Type == corev1.ServiceTypeLoadBalancer && s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		status.LoadBalancer = corev1.LoadBalancerStatus{}
	}
	return status
}

func statusRules() resource.Rules[*corev1.Service] {
	return resource.Rules[*corev1.Service]{
		PrepareUpdate: func(_ context.Context, s, old *corev1.Service) { s.Spec = old.Spec },
		ValidateUpdate: func(_ context.Context, s, _ *corev1.Service) field.ErrorList {
			return validateLoadBalancer(s)
		},
		WarnUpdate: func(_ context.Context, s, _ *corev1.Service) []string { return statusWarnings(s) },
		Reset:      []string{"spec"},
	}
}

// headless reports whether the service asks for no address.
func headless(s *corev1.Service) bool {
	return len(s.Spec.ClusterIPs) == 1 && s.Spec.ClusterIPs[0] == corev1.ClusterIPNone
}
