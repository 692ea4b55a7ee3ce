package serviceapi

import (
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/network/services"
)

// view is what is known of the API.
type view struct {
	// wake has an element when there is something to take.
	wake chan struct{}

	mu       sync.Mutex
	services map[services.Name]*services.Service
	// slices are those of a service, by their names.
	slices map[services.Name]map[string]*services.Slice
	// owners are the services of slices.
	owners map[services.Name]services.Name
	zone   string
	dirty  map[services.Name]struct{}
	// listed tells whether services and slices were listed once: before, nothing is handed
	// on, since the network would lose what a former run has left.
	listedServices, listedSlices bool
}

func newView() *view {
	return &view{
		wake:     make(chan struct{}, 1),
		services: map[services.Name]*services.Service{}, slices: map[services.Name]map[string]*services.Slice{},
		owners: map[services.Name]services.Name{}, dirty: map[services.Name]struct{}{},
	}
}

// changes are services that have changed with what they are now.
type changes struct {
	listed   bool
	zone     string
	services map[services.Name]changed
}

// changed is a service and its endpoints; the service is nil where it is gone.
type changed struct {
	service *services.Service
	slices  []services.Slice
}

// take returns what has changed since it was last called.
func (v *view) take() changes {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := changes{listed: v.listedServices && v.listedSlices, zone: v.zone, services: map[services.Name]changed{}}
	if !c.listed {
		return c
	}
	for name := range v.dirty {
		one := changed{service: v.services[name]}
		if one.service != nil {
			for _, s := range sorted(v.slices[name]) {
				one.slices = append(one.slices, *s)
			}
		}
		c.services[name] = one
	}
	v.dirty = map[services.Name]struct{}{}
	return c
}

func sorted(by map[string]*services.Slice) []*services.Slice {
	names := make([]string, 0, len(by))
	for name := range by {
		names = append(names, name)
	}
	slices.Sort(names)
	all := make([]*services.Slice, 0, len(by))
	for _, name := range names {
		all = append(all, by[name])
	}
	return all
}

// putBack has what could not be handed on be taken again.
func (v *view) putBack(c changes) {
	v.mu.Lock()
	for name := range c.services {
		v.dirty[name] = struct{}{}
	}
	v.mu.Unlock()
	v.poke()
}

func (v *view) poke() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// touch notes that a service has changed. The caller holds mu.
func (v *view) touch(name services.Name) {
	v.dirty[name] = struct{}{}
	v.poke()
}

func (v *view) setZone(zone string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if zone == v.zone {
		return
	}
	v.zone = zone
	for name := range v.services {
		v.touch(name)
	}
}

func (v *view) setService(s *corev1.Service) {
	read, ok := service(s)
	v.mu.Lock()
	defer v.mu.Unlock()
	if !ok {
		v.dropService(read.Name)
		return
	}
	v.services[read.Name] = &read
	v.touch(read.Name)
}

// dropService forgets a service. The caller holds mu.
func (v *view) dropService(name services.Name) {
	if _, ok := v.services[name]; ok {
		delete(v.services, name)
		v.touch(name)
	}
}

func (v *view) setSlice(s *discoveryv1.EndpointSlice) {
	of := services.Name{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
	key := services.Name{Namespace: s.Namespace, Name: s.Name}
	v.mu.Lock()
	defer v.mu.Unlock()
	if owner, ok := v.owners[key]; ok && owner != of {
		v.dropSlice(key)
	}
	if of.Name == "" || s.AddressType != discoveryv1.AddressTypeIPv4 {
		return
	}
	if v.slices[of] == nil {
		v.slices[of] = map[string]*services.Slice{}
	}
	v.slices[of][key.Name], v.owners[key] = slice(s), of
	v.touch(of)
}

// dropSlice forgets a slice. The caller holds mu.
func (v *view) dropSlice(key services.Name) {
	of, ok := v.owners[key]
	if !ok {
		return
	}
	delete(v.owners, key)
	delete(v.slices[of], key.Name)
	if len(v.slices[of]) == 0 {
		delete(v.slices, of)
	}
	v.touch(of)
}

// serviceStore and sliceStore give a view what a reflector brings.
type (
	serviceStore struct{ *view }
	sliceStore   struct{ *view }
)

var (
	_ cache.ReflectorStore = &serviceStore{}
	_ cache.ReflectorStore = &sliceStore{}
)

// Add implements cache.ReflectorStore.
func (s *serviceStore) Add(o any) error { return s.Update(o) }

// Update implements cache.ReflectorStore.
func (s *serviceStore) Update(o any) error {
	one, ok := o.(*corev1.Service)
	if !ok {
		return fmt.Errorf("%T is not a service", o)
	}
	s.setService(one)
	return nil
}

// Delete implements cache.ReflectorStore.
func (s *serviceStore) Delete(o any) error {
	one, ok := o.(*corev1.Service)
	if !ok {
		return fmt.Errorf("%T is not a service", o)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropService(services.Name{Namespace: one.Namespace, Name: one.Name})
	return nil
}

// Resync implements cache.ReflectorStore.
func (s *serviceStore) Resync() error { return nil }

// Replace implements cache.ReflectorStore.
func (s *serviceStore) Replace(list []any, _ string) error {
	listed := map[services.Name]bool{}
	for _, o := range list {
		if err := s.Update(o); err != nil {
			return err
		}
		one := o.(*corev1.Service)
		listed[services.Name{Namespace: one.Namespace, Name: one.Name}] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.services {
		if !listed[name] {
			s.dropService(name)
		}
	}
	s.listedServices = true
	s.poke()
	return nil
}

// Add implements cache.ReflectorStore.
func (s *sliceStore) Add(o any) error { return s.Update(o) }

// Update implements cache.ReflectorStore.
func (s *sliceStore) Update(o any) error {
	one, ok := o.(*discoveryv1.EndpointSlice)
	if !ok {
		return fmt.Errorf("%T is not a slice of endpoints", o)
	}
	s.setSlice(one)
	return nil
}

// Delete implements cache.ReflectorStore.
func (s *sliceStore) Delete(o any) error {
	one, ok := o.(*discoveryv1.EndpointSlice)
	if !ok {
		return fmt.Errorf("%T is not a slice of endpoints", o)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropSlice(services.Name{Namespace: one.Namespace, Name: one.Name})
	return nil
}

// Resync implements cache.ReflectorStore.
func (s *sliceStore) Resync() error { return nil }

// Replace implements cache.ReflectorStore.
func (s *sliceStore) Replace(list []any, _ string) error {
	listed := map[services.Name]bool{}
	for _, o := range list {
		if err := s.Update(o); err != nil {
			return err
		}
		one := o.(*discoveryv1.EndpointSlice)
		listed[services.Name{Namespace: one.Namespace, Name: one.Name}] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.owners {
		if !listed[key] {
			s.dropSlice(key)
		}
	}
	s.listedSlices = true
	s.poke()
	return nil
}
