package services

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/knftables"
)

// Unit is what one service has in the table. It is not changed once made.
type Unit struct {
	name     Name
	created  time.Time
	elements []element
	// keys are the elements by key; those of a key are in different maps.
	keys   map[string][]element
	chains []chain
	sets   []affinity
	flows  []flow
	// cut is what was left out, see limits.go.
	cut cut
	// Local is how many endpoints of this node are ready: a load balancer is to send to
	// others while those here only end (KEP-1669).
	Local int
	// Reachable is whether endpoints anywhere serve a port of it.
	Reachable bool
}

// element is one of a map, from a key to a verdict.
type element struct{ in, key, verdict string }

// chain is one of the service alone.
type chain struct {
	name  string
	rules []string
}

// affinity is a set of the clients of an endpoint, which leave it by themselves.
type affinity struct {
	name    string
	seconds int
}

// flow is an address of UDP and where packets to it may go; an address that is not valid
// stands for those of the machine.
type flow struct {
	at netip.AddrPort
	to []netip.AddrPort
}

// The maps that services have elements in.
const (
	serviceIPs     = "service-ips"
	externalIPs    = "external-ips"
	nodePorts      = "node-ports"
	unservedIPs    = "unserved-ips"
	unservedPorts  = "unserved-ports"
	refuseVerdict  = "goto refuse"
	dropVerdict    = "drop"
	translatedMark = "0x4000" // upstream's bit for packets that are to be masqueraded
	markTranslated = "meta mark set meta mark | " + translatedMark
)

// Compile makes of a service and its endpoints what the table is to have of it.
func (c Config) Compile(s Service, endpoints []Slice, n Node) *Unit {
	u := &Unit{name: s.Name, created: s.Created, keys: map[string][]element{}}
	local := map[netip.Addr]bool{}
	s.External, s.Balanced = c.own(s)
	room := newRoom()
	for _, p := range s.Ports {
		if !known(p.Protocol) || p.Port == 0 {
			continue
		}
		if !room.addresses(s, p) {
			u.cut.ports = true
			break
		}
		where := choose(p, endpoints, n)
		if !room.endpoints(s, where) {
			u.cut.ports = true
			break
		}
		u.cut.endpoints = u.cut.endpoints || where.cut
		u.Reachable = u.Reachable || where.any
		for _, to := range where.ready {
			local[to.Addr()] = true
		}
		w := writer{Unit: u, cfg: c, service: s, port: p, choice: where, id: idOf(s.Name, p)}
		w.cluster()
		w.external()
		w.endpoints()
	}
	u.Local = len(local)
	return u
}

// own are the external addresses that a service can have, each once, and then those of a
// load balancer that are not among them.
func (c Config) own(s Service) (external, balanced []netip.Addr) {
	seen := map[netip.Addr]bool{}
	own := func(all []netip.Addr) (own []netip.Addr) {
		for _, a := range all {
			if !seen[a] && !c.taken(a) {
				own = append(own, a)
			}
			seen[a] = true
		}
		return own
	}
	return own(s.External), own(s.Balanced)
}

// inOrder are services as they are to be asked: those that are gone, then the oldest first,
// so that after a restart an address has who had it before.
func inOrder(units map[Name]*Unit) []Name {
	created := func(n Name) (at time.Time) {
		if u := units[n]; u != nil {
			at = u.created
		}
		return at
	}
	return slices.SortedFunc(maps.Keys(units), func(a, b Name) int {
		return cmp.Or(created(a).Compare(created(b)), a.Compare(b))
	})
}

func known(p Protocol) bool { return p == TCP || p == UDP || p == SCTP }

// idOf names a port of a service in chains and sets, which need names of at most 255 bytes.
// It begins with a digest, so that one that is cut is still of this port alone.
func idOf(n Name, p Port) string {
	full := n.String() + "/" + string(p.Protocol) + "/" + p.Name
	sum := sha256.Sum256([]byte(full))
	id := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10]) + "-" + full
	return id[:min(len(id), 200)]
}

// writer adds to a unit what one port needs.
type writer struct {
	*Unit
	choice
	cfg     Config
	service Service
	port    Port
	id      string
	// named are the chains to endpoints that something leads to: to all, to those here.
	named [2]bool
}

// key is the address of an element.
func (w *writer) key(addr netip.Addr) string {
	return fmt.Sprintf("%s . %s . %d", addr, w.port.Protocol, w.port.Port)
}

func (w *writer) add(in, key, verdict string) {
	e := element{in, key, verdict}
	if slices.ContainsFunc(w.keys[key], func(o element) bool { return o.in == in }) {
		return // the first of them counts
	}
	w.elements, w.keys[key] = append(w.elements, e), append(w.keys[key], e)
}

func (w *writer) chain(name string, rules ...string) string {
	name += "-" + w.id
	w.chains = append(w.chains, chain{name, rules})
	return "goto " + name
}

// unserved is what becomes of packets that lead to no endpoint: refused where there is none,
// lost where the policy forbids those that there are, as upstream has it.
func (w *writer) unserved() string {
	if w.any {
		return dropVerdict
	}
	return refuseVerdict
}

// cluster adds the cluster IP.
func (w *writer) cluster() {
	to := w.all
	if w.service.InternalLocal {
		to = w.local
	}
	key := w.key(w.service.ClusterIP)
	if len(to) == 0 {
		w.add(unservedIPs, key, w.unserved())
		return
	}
	w.add(serviceIPs, key, w.lead(w.service.InternalLocal))
}

// chainOf names the chain that leads to the endpoints.
func (w *writer) chainOf(local bool) string {
	if local {
		return "local-" + w.id
	}
	return "service-" + w.id
}

// lead leads to the endpoints.
func (w *writer) lead(local bool) string {
	w.named[index(local)] = true
	return "goto " + w.chainOf(local)
}

func index(local bool) int {
	if local {
		return 1
	}
	return 0
}

// external adds what is reached from beyond the pods: node port, external addresses and
// those of a load balancer.
func (w *writer) external() {
	addrs, balanced := w.service.External, w.service.Balanced
	if len(addrs) == 0 && len(balanced) == 0 && w.port.NodePort == 0 {
		return
	}
	port := fmt.Sprintf("%s . %d", w.port.Protocol, w.port.NodePort)
	if !w.service.ExternalLocal && len(w.all) == 0 || len(w.local) == 0 && w.service.ExternalLocal {
		for _, a := range slices.Concat(addrs, balanced) {
			w.add(unservedIPs, w.key(a), w.unserved())
		}
		if w.port.NodePort != 0 {
			w.add(unservedPorts, port, w.unserved())
		}
	}
	if len(w.all) == 0 && (len(w.local) == 0 || !w.service.ExternalLocal) {
		return
	}
	to := w.chain("external", w.externalRules()...)
	if w.port.NodePort != 0 {
		w.add(nodePorts, port, to)
	}
	for _, a := range addrs {
		w.add(externalIPs, w.key(a), to)
	}
	if len(w.service.Sources) > 0 && len(balanced) > 0 {
		// One rule each: ranges of a set may not overlap.
		var from []string
		for _, p := range w.service.Sources {
			from = append(from, "ip saddr "+p.String()+" "+to)
		}
		to = w.chain("balanced", append(from, dropVerdict)...)
	}
	for _, a := range balanced {
		w.add(externalIPs, w.key(a), to)
	}
}

// taken tells of an external address that a service cannot have: it would take packets from
// pods, services or the machine itself.
func (c Config) taken(a netip.Addr) bool {
	return !reachable(a) || c.Range.Contains(a) || c.Subnet.Contains(a)
}

// externalRules lead what comes from outside. By the policy Local it goes to endpoints of
// this node alone, but for what pods and programs of this node send.
func (w *writer) externalRules() (rules []string) {
	if !w.service.ExternalLocal {
		return []string{markTranslated, w.lead(false)}
	}
	if len(w.all) > 0 {
		rules = append(rules,
			knftables.Concat("iifname", w.cfg.Bridge, w.lead(false)),
			"fib saddr type local "+markTranslated,
			"fib saddr type local "+w.lead(false))
	}
	if len(w.local) > 0 {
		rules = append(rules, w.lead(true))
	}
	return rules
}

// endpoints adds the chains that others lead to, and notes where UDP may go.
func (w *writer) endpoints() {
	var to []netip.AddrPort
	for _, local := range []bool{false, true} {
		if w.named[index(local)] {
			targets := w.all
			if local {
				targets = w.local
			}
			w.chains = append(w.chains, chain{w.chainOf(local), w.destinations(targets)})
			to = append(to, targets...)
		}
	}
	slices.SortFunc(to, netip.AddrPort.Compare)
	to = slices.Compact(to)
	if w.service.Affinity > 0 {
		w.clients(to)
	}
	if w.port.Protocol == UDP {
		w.follow(to)
	}
}

func (w *writer) follow(to []netip.AddrPort) {
	for _, a := range slices.Concat([]netip.Addr{w.service.ClusterIP}, w.service.External, w.service.Balanced) {
		w.flows = append(w.flows, flow{netip.AddrPortFrom(a, w.port.Port), to})
	}
	if w.port.NodePort != 0 {
		w.flows = append(w.flows, flow{netip.AddrPortFrom(netip.Addr{}, w.port.NodePort), to})
	}
}

// key is that of the elements for packets of the flow.
func (f flow) key() string {
	if !f.at.Addr().IsValid() {
		return fmt.Sprintf("%s . %d", UDP, f.at.Port())
	}
	return fmt.Sprintf("%s . %s . %d", f.at.Addr(), UDP, f.at.Port())
}

// destinations are the rules that send a packet to one of the endpoints.
func (w *writer) destinations(to []netip.AddrPort) []string {
	if w.service.Affinity == 0 {
		return []string{destination(w.port.Protocol, to)}
	}
	var rules, pick []string
	for i, at := range to {
		rules = append(rules, "ip saddr @"+w.clientsOf(at)+" goto "+w.endpoint(at))
		pick = append(pick, strconv.Itoa(i)+" : goto "+w.endpoint(at))
	}
	return append(rules, fmt.Sprintf("numgen random mod %d vmap { %s }", len(to), strings.Join(pick, " , ")))
}

// clients adds for each endpoint the set of its clients, and the chain that leads there and
// keeps the client.
func (w *writer) clients(to []netip.AddrPort) {
	for _, at := range to {
		w.sets = append(w.sets, affinity{w.clientsOf(at), w.seconds()})
		w.chains = append(w.chains, chain{w.endpoint(at), []string{
			"update @" + w.clientsOf(at) + " { ip saddr }",
			destination(w.port.Protocol, []netip.AddrPort{at}),
		}})
	}
}

func (w *writer) seconds() int { return max(1, int(w.service.Affinity.Seconds())) }

func (w *writer) endpoint(at netip.AddrPort) string {
	return fmt.Sprintf("endpoint-%s__%s/%d", w.id, at.Addr(), at.Port())
}

// clientsOf names the set of an endpoint's clients; the time is part of it, since that of a
// set cannot be changed.
func (w *writer) clientsOf(at netip.AddrPort) string {
	return fmt.Sprintf("clients-%s-%ds__%s/%d", w.id[:16], w.seconds(), at.Addr(), at.Port())
}

// destination rewrites a packet's destination to one of the endpoints.
func destination(protocol Protocol, to []netip.AddrPort) string {
	if len(to) == 1 {
		return knftables.Concat("meta l4proto", string(protocol), "dnat ip to", to[0])
	}
	var parts []string
	for i, a := range to {
		parts = append(parts, fmt.Sprintf("%d : %s . %d", i, a.Addr(), a.Port()))
	}
	return knftables.Concat("meta l4proto", string(protocol), "dnat ip to numgen random mod", len(to), "map {", strings.Join(parts, ", "), "}")
}
