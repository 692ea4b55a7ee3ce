package damaged

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"laterna.dev/laterna/internal/etcd/walk"
)

// Prefix is where API objects live in the store.
const Prefix = "/registry/"

// Object is an object that cannot be read.
type Object struct {
	// Key is where it is in the store.
	Key string `json:"key"`
	// Resource, Namespace and Name are what the key says that it is.
	Resource  string `json:"resource"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Delete is the path, with its query, that a DELETE removes it by; "" where the
	// resource is not served.
	Delete string `json:"delete,omitempty"`
	// Why says what keeps it from being read; nothing of its content.
	Why string `json:"why"`
}

// Advice says how a person gets rid of the object.
func (o *Object) Advice() string {
	if o.Delete == "" {
		return "put a copy of the data directory in place of this one"
	}
	return "delete it with `kubectl delete --raw '" + o.Delete + "'` and create it again"
}

// String names the object as kubectl does.
func (o *Object) String() string {
	s := o.Resource + "/" + o.Name
	if o.Namespace != "" {
		s += " in namespace " + o.Namespace
	}
	return s
}

// Set are the objects of a store that are set aside because they cannot be read. The
// zero Set holds none. Its methods may be called concurrently.
type Set struct {
	mu      sync.RWMutex
	objects map[string]Object
}

// Objects returns what is set aside, ordered by key.
func (s *Set) Objects() []Object {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.objects), func(a, b Object) int { return cmp.Compare(a.Key, b.Key) })
}

// Get returns the object at key, if it is set aside.
func (s *Set) Get(key string) (Object, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.objects[key]
	return o, ok
}

// empty is true in almost every store.
func (s *Set) empty() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.objects) == 0
}

func (s *Set) add(objects []Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects == nil {
		s.objects = map[string]Object{}
	}
	for _, o := range objects {
		s.objects[o.Key] = o
	}
}

// drop forgets an object that was deleted or written anew, and tells whether it was one.
func (s *Set) drop(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.objects[key]
	delete(s.objects, key)
	return ok
}

// object says what the key of the store stands for.
func object(key string, place walk.Place, at schema.GroupVersionResource, why error) Object {
	o := Object{Key: key, Resource: at.Resource, Why: why.Error()}
	namespace, name, namespaced := strings.Cut(place.Object, "/")
	if !namespaced {
		namespace, name = "", place.Object
	}
	if name == "" || strings.Contains(name, "/") {
		o.Name = key
		return o
	}
	o.Resource, o.Namespace, o.Name = place.Name[strings.LastIndex(place.Name, "/")+1:], namespace, name
	if at.Version == "" {
		return o
	}
	path := "/apis/" + at.Group
	if at.Group == "" {
		path = "/api"
	}
	path += "/" + at.Version
	if o.Namespace != "" {
		path += "/namespaces/" + url.PathEscape(o.Namespace)
	}
	o.Delete = path + "/" + at.Resource + "/" + url.PathEscape(o.Name) + "?ignoreStoreReadErrorWithClusterBreakingPotential=true"
	return o
}
