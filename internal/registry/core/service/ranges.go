package service

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"

	"laterna.dev/laterna/internal/registry/resource"
)

// rangesPrefix is where the books of the pools are kept in the store.
const rangesPrefix = "/ranges"

// ranges stores RangeAllocation objects, which are not served.
type ranges struct {
	storage storage.Interface
	destroy func()
}

// openRanges opens the storage of the books. then is called after it is closed.
func openRanges(env resource.Env, then func()) (*ranges, error) {
	gr := schema.GroupResource{Resource: "rangeallocations"}
	options, err := env.Getter.GetRESTOptions(gr, &corev1.RangeAllocation{})
	if err != nil {
		return nil, fmt.Errorf("building storage of %s: %w", gr, err)
	}
	s, stop, err := options.Decorator(options.StorageConfig, rangesPrefix, nil,
		func() runtime.Object { return &corev1.RangeAllocation{} },
		// There is no list kind; the store asks for one to count objects.
		func() runtime.Object { return &corev1.List{} }, nil, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("building storage of %s: %w", gr, err)
	}
	destroy := sync.OnceFunc(func() {
		stop()
		if then != nil {
			then()
		}
	})
	return &ranges{storage: s, destroy: destroy}, nil
}

func (r *ranges) update(ctx context.Context, key string, change func(*corev1.RangeAllocation) error) error {
	return r.storage.GuaranteedUpdate(ctx, rangesPrefix+"/"+key, &corev1.RangeAllocation{}, true, nil,
		storage.SimpleUpdate(func(input runtime.Object) (runtime.Object, error) {
			allocation := input.(*corev1.RangeAllocation)
			if err := change(allocation); err != nil {
				return nil, err
			}
			return allocation, nil
		}), nil)
}

// listFunc returns all stored services.
type listFunc func(ctx context.Context) ([]corev1.Service, error)

// widest is the largest number of addresses that a pool keeps books on; of a wider
// range only the first so many are used.
const widest = 1 << 16

// newAddressPool numbers the usable addresses of a range from its first one on.
// The network's own address and the broadcast address are not usable.
func newAddressPool(prefix netip.Prefix, update updateFunc, list listFunc) (*pool, error) {
	prefix = prefix.Masked()
	bits := prefix.Addr().BitLen() - prefix.Bits()
	if !prefix.IsValid() || bits < 2 {
		return nil, fmt.Errorf("service address range %s is too small: give at least 4 addresses", prefix)
	}
	size := widest
	if bits < 16 {
		size = 1 << bits
	}
	size -= 2
	return &pool{
		key:    "serviceips",
		name:   prefix.String(),
		size:   size,
		kept:   1,
		static: min(max(16, size/16), 256, size),
		update: update,
		used: func(ctx context.Context) ([]int, error) {
			services, err := list(ctx)
			var numbers []int
			for i := range services {
				numbers = append(numbers, addressNumbers(&services[i], prefix)...)
			}
			return numbers, err
		},
	}, nil
}

// addressNumbers returns the numbers of the addresses that a service holds.
func addressNumbers(s *corev1.Service, prefix netip.Prefix) []int {
	if !takesAddress(s) {
		return nil
	}
	var numbers []int
	for _, ip := range s.Spec.ClusterIPs {
		if a, err := netip.ParseAddr(ip); err == nil {
			if n, ok := numberOf(a, prefix); ok {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers
}

// numberOf returns how far an address is from the first usable one of prefix.
func numberOf(a netip.Addr, prefix netip.Prefix) (int, bool) {
	if !prefix.Contains(a) {
		return 0, false
	}
	n := low(a) - low(prefix.Addr())
	if n == 0 || n > widest {
		return 0, false
	}
	return int(n) - 1, true
}

// addressOf is the reverse of numberOf.
func addressOf(n int, prefix netip.Prefix) netip.Addr {
	raw := prefix.Addr().AsSlice()
	if len(raw) == 4 {
		binary.BigEndian.PutUint32(raw, binary.BigEndian.Uint32(raw)+uint32(n)+1)
	} else {
		tail := raw[8:]
		binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)+uint64(n)+1)
	}
	a, _ := netip.AddrFromSlice(raw)
	return a
}

// low returns the lower 64 bits of an address.
func low(a netip.Addr) uint64 {
	raw := a.As16()
	return binary.BigEndian.Uint64(raw[8:])
}

// newPortPool numbers node ports from the first of the range on.
func newPortPool(r PortRange, update updateFunc, list listFunc) *pool {
	size := r.Last - r.First + 1
	return &pool{
		key:    "servicenodeports",
		name:   r.String(),
		size:   size,
		static: min(max(16, size/32), 128, size),
		update: update,
		used: func(ctx context.Context) ([]int, error) {
			services, err := list(ctx)
			var numbers []int
			for i := range services {
				for _, port := range portsOf(&services[i]) {
					numbers = append(numbers, port-r.First)
				}
			}
			return numbers, err
		},
	}
}

// portsOf returns the node ports that a service holds, each once.
func portsOf(s *corev1.Service) []int {
	var all []int
	seen := map[int32]bool{0: true}
	if takesPorts(s) {
		for _, port := range s.Spec.Ports {
			if !seen[port.NodePort] {
				all = append(all, int(port.NodePort))
			}
			seen[port.NodePort] = true
		}
	}
	if needsHealthCheck(s) && !seen[s.Spec.HealthCheckNodePort] {
		all = append(all, int(s.Spec.HealthCheckNodePort))
	}
	return all
}
