package scheduler

import (
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"

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

// hostPort is a port that a pod takes on its node.
type hostPort struct {
	ip       string
	protocol corev1.Protocol
	port     int32
}

// unspecified is the address of a port that is taken on all addresses.
const unspecified = "0.0.0.0"

// conflicts reports whether two pods cannot have both ports on one node: an
// unspecified address covers all others.
func (p hostPort) conflicts(q hostPort) bool {
	everywhere := p.ip == unspecified || q.ip == unspecified
	return p.protocol == q.protocol && p.port == q.port && (everywhere || p.ip == q.ip)
}

// demand is what a pod asks of its node.
type demand struct {
	amounts amounts
	ports   []hostPort
}

func demandOf(pod *corev1.Pod) demand {
	d := demand{amounts: amounts{corev1.ResourcePods: 1}}
	for name, quantity := range resource.PodRequests(pod, resource.PodResourcesOptions{}) {
		d.amounts[name] += amount(name, quantity)
	}
	for _, c := range podfields.DeclaredContainers(&pod.Spec) {
		d.ports = append(d.ports, portsOf(c)...)
	}
	return d
}

func portsOf(c *corev1.Container) []hostPort {
	var ports []hostPort
	for _, port := range c.Ports {
		if port.HostPort == 0 {
			continue
		}
		p := hostPort{ip: port.HostIP, protocol: port.Protocol, port: port.HostPort}
		if p.ip == "" {
			p.ip = unspecified
		}
		if p.protocol == "" {
			p.protocol = corev1.ProtocolTCP
		}
		ports = append(ports, p)
	}
	return ports
}

// booking is a demand on a node.
type booking struct {
	node string
	demand
}

// ledger knows what the pods of each node ask for: those that watches have shown,
// and those just decided about. It is safe for concurrent use.
type ledger struct {
	mu    sync.Mutex
	pods  map[types.UID]booking
	nodes map[string]amounts
	// assumed pods are decided about, and no watch has shown them bound yet.
	assumed map[types.UID]bool
}

func newLedger() *ledger {
	return &ledger{pods: map[types.UID]booking{}, nodes: map[string]amounts{}, assumed: map[types.UID]bool{}}
}

// seen takes over what a watch shows of a pod and tells whether the pod has given
// something back. A pod that a watch still shows without a node keeps its
// assumption.
func (l *ledger) seen(pod *corev1.Pod) (freed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case ended(pod):
		return l.remove(pod.UID)
	case pod.Spec.NodeName != "":
		delete(l.assumed, pod.UID)
		return l.book(pod.UID, booking{pod.Spec.NodeName, demandOf(pod)})
	}
	return false
}

// gone forgets a deleted pod and tells whether it had a place.
func (l *ledger) gone(uid types.UID) (freed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remove(uid)
}

// assume books a decision.
func (l *ledger) assume(pod *corev1.Pod, node string, d demand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.assumed[pod.UID] = true
	l.book(pod.UID, booking{node, d})
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

// on returns what the pods of a node ask for.
func (l *ledger) on(node string) (amounts, []hostPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ports []hostPort
	for _, b := range l.pods {
		if b.node == node {
			ports = append(ports, b.ports...)
		}
	}
	return maps.Clone(l.nodes[node]), ports
}

func (l *ledger) book(uid types.UID, b booking) (freed bool) {
	if old, ok := l.pods[uid]; ok {
		freed = old.node != b.node || !maps.Equal(old.amounts, b.amounts)
		l.remove(uid)
	}
	if l.nodes[b.node] == nil {
		l.nodes[b.node] = amounts{}
	}
	l.nodes[b.node].add(b.amounts, 1)
	l.pods[uid] = b
	return freed
}

func (l *ledger) remove(uid types.UID) bool {
	b, ok := l.pods[uid]
	if !ok {
		return false
	}
	l.nodes[b.node].add(b.amounts, -1)
	if l.nodes[b.node][corev1.ResourcePods] == 0 {
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
