package node

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// reference is an object that pods refer to, or a pod itself.
type reference struct {
	kind            string
	namespace, name string
}

// Kinds of references, by resource.
const (
	podKind            = "pods"
	secretKind         = "secrets"
	configMapKind      = "configmaps"
	serviceAccountKind = "serviceaccounts"
	volumeClaimKind    = "persistentvolumeclaims"
	deviceClaimKind    = "resourceclaims"
)

// references counts, per node, the pods that refer to an object. All methods may
// be called concurrently.
type references struct {
	mu     sync.RWMutex
	byPod  map[types.NamespacedName]placed
	byNode map[string]map[reference]int
	// changed is closed and replaced when the index changes.
	changed chan struct{}
}

// placed is what the index holds of one pod.
type placed struct {
	uid  types.UID
	node string
	refs []reference
}

func newReferences() *references {
	return &references{
		byPod:   map[types.NamespacedName]placed{},
		byNode:  map[string]map[reference]int{},
		changed: make(chan struct{}),
	}
}

// has reports whether a pod on the node refers to r, and returns a channel that is
// closed at the next change of the index.
func (x *references) has(node string, r reference) (bool, <-chan struct{}) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byNode[node][r] > 0, x.changed
}

// handler feeds the index from the pods informer.
func (x *references) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { x.set(obj) },
		UpdateFunc: func(_, obj any) { x.set(obj) },
		DeleteFunc: func(obj any) {
			if d, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = d.Obj
			}
			if pod, ok := obj.(*corev1.Pod); ok {
				x.drop(keyOf(pod))
			}
		},
	}
}

func keyOf(pod *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
}

func (x *references) set(obj any) {
	pod, ok := obj.(*corev1.Pod)
	if !ok || pod.Spec.NodeName == "" {
		return
	}
	// The references of a bound pod change only by ephemeral containers, and by claims that
	// are made for it.
	x.mu.RLock()
	old, known := x.byPod[keyOf(pod)]
	x.mu.RUnlock()
	if known && old.uid == pod.UID && old.node == pod.Spec.NodeName && len(pod.Spec.EphemeralContainers) == 0 && len(pod.Spec.ResourceClaims) == 0 {
		return
	}
	p := placed{uid: pod.UID, node: pod.Spec.NodeName, refs: referencesOf(pod)}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(keyOf(pod))
	x.byPod[keyOf(pod)] = p
	counts := x.byNode[p.node]
	if counts == nil {
		counts = map[reference]int{}
		x.byNode[p.node] = counts
	}
	for _, r := range p.refs {
		counts[r]++
	}
	close(x.changed)
	x.changed = make(chan struct{})
}

func (x *references) drop(key types.NamespacedName) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(key)
}

// remove is drop for holders of mu.
func (x *references) remove(key types.NamespacedName) {
	p, ok := x.byPod[key]
	if !ok {
		return
	}
	delete(x.byPod, key)
	counts := x.byNode[p.node]
	for _, r := range p.refs {
		if counts[r]--; counts[r] == 0 {
			delete(counts, r)
		}
	}
	if len(counts) == 0 {
		delete(x.byNode, p.node)
	}
}
