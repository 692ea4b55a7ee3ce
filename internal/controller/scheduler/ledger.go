package scheduler

import (
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"

	"laterna.dev/laterna/internal/podfields"
)

// amounts maps a resource to how much of it is used: CPU in thousandths of a core,
// all else in units. Pods are counted under corev1.ResourcePods.
type amounts map[corev1.ResourceName]int64

func (a amounts) add(b amounts, sign int64) {
	for name, n := range b {
		a[name] += sign * n
	}
}

// demand is what a pod asks of its node.
type demand struct {
	amounts amounts
	ports   []podfields.HostPort
}

// demandOf counts of a pod that is being resized the most of what it asks for, what its
// node has allocated to it, and what it has (KEP-1287).
func demandOf(pod *corev1.Pod) demand {
	d := demand{amounts: amounts{corev1.ResourcePods: 1}, ports: podfields.HostPorts(&pod.Spec)}
	options := resource.PodResourcesOptions{UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: true}
	for name, quantity := range resource.PodRequests(pod, options) {
		d.amounts[name] += amount(name, quantity)
	}
	return d
}

// booking is a pod on a node, with what it asks for.
type booking struct {
	node string
	pod  *corev1.Pod
	demand
	// repels are the terms by which the pod keeps others away.
	repels []term
}

func book(pod *corev1.Pod, node string, d demand) booking {
	return booking{node, pod, d, repelsOf(pod)}
}

// load is what the pods of a node ask for.
type load struct {
	amounts amounts
	pods    map[types.UID]booking
}

// nomination is a place that is kept for a pod which others make way for.
type nomination struct {
	node     string
	priority int32
	demand
}

// ledger knows what the pods of each node ask for: those that watches have shown,
// and those just decided about. It is safe for concurrent use.
type ledger struct {
	mu    sync.Mutex
	pods  map[types.UID]booking
	nodes map[string]*load
	// assumed pods are decided about, and no watch has shown them bound yet.
	assumed map[types.UID]bool
	// nominated pods wait for others to end.
	nominated map[types.UID]nomination
}

func newLedger() *ledger {
	return &ledger{
		pods: map[types.UID]booking{}, nodes: map[string]*load{},
		assumed: map[types.UID]bool{}, nominated: map[types.UID]nomination{},
	}
}

// seen takes over what a watch shows of a pod and tells whether the pod has given
// something back, or is another neighbour than before. A pod that a watch still shows
// without a node keeps its assumption.
func (l *ledger) seen(pod *corev1.Pod) (freed, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case ended(pod):
		delete(l.nominated, pod.UID)
		freed = l.remove(pod.UID)
		return freed, freed
	case pod.Spec.NodeName != "":
		delete(l.assumed, pod.UID)
		delete(l.nominated, pod.UID)
		return l.book(pod.UID, book(pod, pod.Spec.NodeName, demandOf(pod)))
	case pod.Status.NominatedNodeName != "":
		l.nominated[pod.UID] = nomination{pod.Status.NominatedNodeName, schedulinghelper.PodPriority(pod), demandOf(pod)}
	}
	return false, false
}

// gone forgets a deleted pod and tells whether it had a place.
func (l *ledger) gone(uid types.UID) (freed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.nominated, uid)
	return l.remove(uid)
}

// nominate keeps a place for a pod.
func (l *ledger) nominate(pod *corev1.Pod, node string, d demand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nominated[pod.UID] = nomination{node, schedulinghelper.PodPriority(pod), d}
}

// nominatedTo returns the node whose place is kept for a pod, or "".
func (l *ledger) nominatedTo(uid types.UID) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nominated[uid].node
}

// assume books a decision.
func (l *ledger) assume(pod *corev1.Pod, node string, d demand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.assumed[pod.UID] = true
	delete(l.nominated, pod.UID)
	l.book(pod.UID, book(pod, node, d))
}

// withdraw takes a decision back, unless a watch has confirmed it meanwhile.
func (l *ledger) withdraw(uid types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.assumed[uid] {
		l.remove(uid)
	}
}

// placed reports whether the pod has a node, or soon will.
func (l *ledger) placed(uid types.UID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.pods[uid]
	return ok
}

// on returns a node with its pods, as it is for a pod: with the places that are kept for
// others of at least the same priority.
func (l *ledger) on(node *corev1.Node, pod *corev1.Pod) candidate {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := candidate{node: node, used: amounts{}}
	if there := l.nodes[node.Name]; there != nil {
		c.used.add(there.amounts, 1)
		for _, b := range there.pods {
			c.ports = append(c.ports, b.ports...)
			c.pods = append(c.pods, b)
		}
	}
	for uid, n := range l.nominated {
		if n.node == node.Name && uid != pod.UID && n.priority >= schedulinghelper.PodPriority(pod) {
			c.used.add(n.amounts, 1)
			c.ports = append(c.ports, n.ports...)
		}
	}
	return c
}

func (l *ledger) book(uid types.UID, b booking) (freed, changed bool) {
	old, ok := l.pods[uid]
	if ok {
		freed = old.node != b.node || !maps.Equal(old.amounts, b.amounts)
		l.remove(uid)
	}
	there := l.nodes[b.node]
	if there == nil {
		there = &load{amounts{}, map[types.UID]booking{}}
		l.nodes[b.node] = there
	}
	there.amounts.add(b.amounts, 1)
	there.pods[uid] = b
	l.pods[uid] = b
	return freed, !ok || freed || !maps.Equal(old.pod.Labels, b.pod.Labels) || (old.pod.DeletionTimestamp == nil) != (b.pod.DeletionTimestamp == nil)
}

func (l *ledger) remove(uid types.UID) bool {
	b, ok := l.pods[uid]
	if !ok {
		return false
	}
	there := l.nodes[b.node]
	there.amounts.add(b.amounts, -1)
	delete(there.pods, uid)
	if len(there.pods) == 0 {
		delete(l.nodes, b.node)
	}
	delete(l.pods, uid)
	delete(l.assumed, uid)
	return true
}

// ended reports whether a pod uses nothing any more.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
