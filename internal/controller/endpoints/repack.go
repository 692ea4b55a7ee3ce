package endpoints

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// host is who has an address: two pods may have the same, that of their node.
type host struct {
	ip  string
	uid types.UID
}

// endpointPort is a port that can be compared. The zero value stands for none.
type endpointPort struct {
	name, protocol, app string
	port                int32
	hasApp              bool
}

// repack returns the shortest list that says the same: ports that the same addresses serve
// stand in one subset. All is in order, so that equal endpoints are equal lists.
func repack(subsets []corev1.EndpointSubset) []corev1.EndpointSubset {
	all := map[host]corev1.EndpointAddress{}
	serving := map[endpointPort]map[host]bool{} // whether a host is ready at a port
	for _, s := range subsets {
		ports := s.Ports
		if len(ports) == 0 {
			ports = []corev1.EndpointPort{{}}
		}
		for _, p := range ports {
			key := portKey(p)
			if serving[key] == nil {
				serving[key] = map[host]bool{}
			}
			note := func(list []corev1.EndpointAddress, ready bool) {
				for _, a := range list {
					h := hostOf(a)
					all[h] = a
					was, known := serving[key][h]
					serving[key][h] = ready && (was || !known) // not ready at once is not ready
				}
			}
			note(s.Addresses, true)
			note(s.NotReadyAddresses, false)
		}
	}
	groups := map[string]*corev1.EndpointSubset{}
	for _, key := range slices.SortedFunc(maps.Keys(serving), comparePorts) {
		hosts := serving[key]
		s := corev1.EndpointSubset{}
		var sameness strings.Builder
		for _, h := range slices.SortedFunc(maps.Keys(hosts), compareHosts) {
			list := addressesOf(&s, hosts[h])
			*list = append(*list, all[h])
			sameness.WriteString(h.ip + " " + string(h.uid) + map[bool]string{true: " ready\n", false: "\n"}[hosts[h]])
		}
		group := groups[sameness.String()]
		if group == nil {
			group = &s
			groups[sameness.String()] = group
		}
		if key != (endpointPort{}) {
			group.Ports = append(group.Ports, key.api())
		}
	}
	return ordered(groups)
}

// ordered returns the groups by their first port.
func ordered(groups map[string]*corev1.EndpointSubset) (list []corev1.EndpointSubset) {
	for _, g := range groups {
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b corev1.EndpointSubset) int {
		if len(a.Ports) == 0 || len(b.Ports) == 0 {
			return cmp.Compare(len(a.Ports), len(b.Ports))
		}
		return comparePorts(portKey(a.Ports[0]), portKey(b.Ports[0]))
	})
	return list
}

func hostOf(a corev1.EndpointAddress) host {
	return host{a.IP, ptr.Deref(a.TargetRef, corev1.ObjectReference{}).UID}
}

func compareHosts(a, b host) int {
	return cmp.Or(cmp.Compare(a.ip, b.ip), cmp.Compare(a.uid, b.uid))
}

func portKey(p corev1.EndpointPort) endpointPort {
	return endpointPort{p.Name, string(p.Protocol), ptr.Deref(p.AppProtocol, ""), p.Port, p.AppProtocol != nil}
}

// api is the port as the API has it.
func (p endpointPort) api() corev1.EndpointPort {
	port := corev1.EndpointPort{Name: p.name, Port: p.port, Protocol: corev1.Protocol(p.protocol)}
	if p.hasApp {
		port.AppProtocol = &p.app
	}
	return port
}

func comparePorts(a, b endpointPort) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.port, b.port), cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.app, b.app))
}
