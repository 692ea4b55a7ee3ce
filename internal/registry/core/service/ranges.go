package service

import (
	"context"
	"fmt"
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
