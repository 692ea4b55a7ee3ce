package env

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

// ListServices returns what lists the services that an informer keeps in known. They are
// shared: read only.
func ListServices(known cache.Store) func() []*corev1.Service {
	return func() (all []*corev1.Service) {
		for _, s := range known.List() {
			all = append(all, s.(*corev1.Service))
		}
		return all
	}
}
