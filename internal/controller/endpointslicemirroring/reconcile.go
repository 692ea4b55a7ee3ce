package endpointslicemirroring

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	endpointsliceutil "k8s.io/endpointslice/util"
)

const (
	// perSubset is how many addresses of a subset are mirrored, and how many a slice has.
	perSubset = 1000
	// leader marks Endpoints that are a lock.
	leader = "control-plane.alpha.kubernetes.io/leader"
)

// mirrored tells whether Endpoints want to be mirrored, as far as they know.
func mirrored(e *corev1.Endpoints) bool {
	_, lock := e.Annotations[leader]
	return !lock && e.Labels[discoveryv1.LabelSkipMirror] != "true"
}

// sliceKey tells slices of the same Endpoints apart.
type sliceKey struct {
	family discoveryv1.AddressType
	ports  endpointsliceutil.PortMapKey
}

// desiredSlices is what should be in slices.
type desiredSlices struct {
	order []sliceKey // as the subsets are
	ports map[sliceKey][]discoveryv1.EndpointPort
	list  map[sliceKey][]discoveryv1.Endpoint
	seen  map[sliceKey]endpointsliceutil.EndpointSet
	// invalid is how many addresses are none, skipped how many are not mirrored in all.
	invalid, skipped int
}

// desired says what should be in the slices of Endpoints.
func desired(e *corev1.Endpoints) desiredSlices {
	d := desiredSlices{ports: map[sliceKey][]discoveryv1.EndpointPort{}, list: map[sliceKey][]discoveryv1.Endpoint{}, seen: map[sliceKey]endpointsliceutil.EndpointSet{}}
	for _, s := range e.Subsets {
		ports := portsOf(s)
		key, added := endpointsliceutil.NewPortMapKey(ports), 0
		for _, list := range []struct {
			all   []corev1.EndpointAddress
			ready bool
		}{{s.Addresses, true}, {s.NotReadyAddresses, false}} {
			for _, a := range list.all {
				if added >= perSubset {
					break
				}
				if d.add(key, ports, a, list.ready) {
					added++
				} else {
					d.invalid++
				}
			}
		}
		d.skipped += len(s.Addresses) + len(s.NotReadyAddresses) - added
	}
	return d
}

// add takes an address in, unless it is none.
func (d *desiredSlices) add(portsKey endpointsliceutil.PortMapKey, ports []discoveryv1.EndpointPort, a corev1.EndpointAddress, ready bool) bool {
	ip, err := netip.ParseAddr(a.IP)
	if err != nil {
		return false
	}
	key := sliceKey{discoveryv1.AddressTypeIPv4, portsKey}
	if ip = ip.Unmap(); ip.Is6() {
		key.family = discoveryv1.AddressTypeIPv6
	}
	if d.seen[key] == nil {
		d.order = append(d.order, key)
		d.seen[key], d.ports[key] = endpointsliceutil.EndpointSet{}, ports
	}
	endpoint := discoveryv1.Endpoint{
		Addresses:  []string{ip.String()},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		TargetRef:  a.TargetRef,
		NodeName:   a.NodeName,
	}
	if a.Hostname != "" {
		endpoint.Hostname = &a.Hostname
	}
	if len(d.list[key]) < perSubset && !d.seen[key].Has(&endpoint) {
		d.list[key] = append(d.list[key], endpoint)
		d.seen[key].Insert(&endpoint)
	}
	return true
}

func portsOf(s corev1.EndpointSubset) []discoveryv1.EndpointPort {
	ports := []discoveryv1.EndpointPort{}
	for _, p := range s.Ports {
		ports = append(ports, discoveryv1.EndpointPort{Name: &p.Name, Port: &p.Port, Protocol: &p.Protocol, AppProtocol: p.AppProtocol})
	}
	return ports
}

// changes are what brings slices in line.
type changes struct{ create, update, remove []*discoveryv1.EndpointSlice }

// compare says what has to be done to slices that there are. One that is of no use is made
// another of the same family, before it would be deleted and the other made.
func compare(e *corev1.Endpoints, d desiredSlices, have []*discoveryv1.EndpointSlice) (c changes) {
	byKey := map[sliceKey][]*discoveryv1.EndpointSlice{}
	for _, s := range have {
		// The key puts ports in its order: not those of the cache.
		key := sliceKey{s.AddressType, endpointsliceutil.NewPortMapKey(slices.Clone(s.Ports))}
		byKey[key] = append(byKey[key], s)
	}
	var missing []*discoveryv1.EndpointSlice
	for _, key := range d.order {
		want, there := d.slice(e, key), byKey[key]
		delete(byKey, key)
		if len(there) == 0 {
			missing = append(missing, want)
			continue
		}
		c.remove = append(c.remove, there[1:]...)
		if !same(there[0], want, d.seen[key]) {
			c.update = append(c.update, inPlaceOf(there[0], want))
		}
	}
	for _, useless := range byKey {
		c.remove = append(c.remove, useless...)
	}
	for _, want := range missing {
		i := slices.IndexFunc(c.remove, func(s *discoveryv1.EndpointSlice) bool { return s.AddressType == want.AddressType })
		if i < 0 {
			c.create = append(c.create, want)
			continue
		}
		c.update = append(c.update, inPlaceOf(c.remove[i], want))
		c.remove = slices.Delete(c.remove, i, i+1)
	}
	return c
}

// inPlaceOf returns what a slice is to become.
func inPlaceOf(have, want *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	next := have.DeepCopy()
	next.Labels, next.Annotations, next.OwnerReferences = want.Labels, want.Annotations, want.OwnerReferences
	next.Ports, next.Endpoints = want.Ports, want.Endpoints
	return next
}

// same tells whether a slice says what it should, in whatever order.
func same(have, want *discoveryv1.EndpointSlice, desired endpointsliceutil.EndpointSet) bool {
	if len(have.Endpoints) != len(want.Endpoints) || !equality.Semantic.DeepEqual(have.Labels, want.Labels) || !equality.Semantic.DeepEqual(have.Annotations, want.Annotations) {
		return false
	}
	for i := range have.Endpoints {
		got := desired.Get(&have.Endpoints[i])
		if got == nil || !endpointsliceutil.EndpointsEqualBeyondHash(got, &have.Endpoints[i]) {
			return false
		}
	}
	return true
}

// slice is a new slice of Endpoints.
func (d *desiredSlices) slice(e *corev1.Endpoints, key sliceKey) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: e.Namespace, GenerateName: e.Name + "-",
			Labels: maps.Clone(e.Labels), Annotations: maps.Clone(e.Annotations),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(e, corev1.SchemeGroupVersion.WithKind("Endpoints"))},
		},
		AddressType: key.family, Ports: d.ports[key], Endpoints: d.list[key],
	}
	if len(apivalidation.NameIsDNSSubdomain(s.GenerateName, true)) > 0 {
		s.GenerateName = e.Name
	}
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	s.Labels[discoveryv1.LabelServiceName], s.Labels[discoveryv1.LabelManagedBy] = e.Name, manager
	delete(s.Annotations, corev1.EndpointsLastChangeTriggerTime)
	delete(s.Annotations, corev1.LastAppliedConfigAnnotation)
	return s
}
