package services

// How much one service may have in the table. Whoever may write a service may ask for ports
// times addresses and ports times endpoints, and everybody's services are in one transaction.
const (
	// maxEndpoints bounds those of one port, as upstream's Endpoints does.
	maxEndpoints = 1000
	// maxParts bounds elements, chains, sets and the rules that name ranges of senders.
	maxParts = 10_000
	// maxDestinations bounds how often an endpoint is named.
	maxDestinations = 100_000
)

// cut is what a service asks for and does not get.
type cut struct{ ports, endpoints bool }

// room is what is left for one service. What does not fit is known before it is made.
type room struct{ parts, destinations int }

func newRoom() room { return room{maxParts, maxDestinations} }

// addresses takes what a port needs whoever serves it, and tells whether there was room.
func (r *room) addresses(s Service, p Port) bool {
	outside := len(s.External) + len(s.Balanced)
	if p.NodePort != 0 {
		outside++
	}
	const chains = 2 // to all endpoints, and to those here
	r.parts -= 1 + chains
	if outside > 0 {
		const maps, chains = 2, 2 // served to some and not to others; external and balanced
		r.parts -= maps*outside + chains + len(s.Sources)
	}
	return r.parts >= 0
}

// endpoints takes what the endpoints of a port need, and tells whether there was room.
func (r *room) endpoints(s Service, c choice) bool {
	to := len(c.all) + len(c.local)
	if s.Affinity > 0 {
		const each = 2 // a chain and a set
		r.parts -= each * max(len(c.all), len(c.local))
		to *= 2
	}
	const look = 10 // so many are looked at in the time in which one is written
	r.destinations -= to + c.looked/look
	return r.parts >= 0 && r.destinations >= 0
}

// tellCut says once of a service what is left out of it.
func (r *Router) tellCut(name Name, old, now *Unit) {
	if now == nil || now.cut == (cut{}) || old != nil && old.cut == now.cut {
		return
	}
	if now.cut.endpoints {
		r.cfg.Log.Warn("a service has more endpoints than a port can have: the first by address are used", "service", name, "endpoints", maxEndpoints)
	}
	if now.cut.ports {
		r.cfg.Log.Warn("a service has more ports, external addresses and endpoints than it can have: its last ports are not routed; divide it into several",
			"service", name, "elements", maxParts, "destinations", maxDestinations)
	}
}
