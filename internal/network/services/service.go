package services

import (
	"cmp"
	"net/netip"
	"strings"
	"time"
)

// Protocol is the transport protocol of a service, in nftables' words.
type Protocol string

// The protocols that services can have.
const (
	TCP  Protocol = "tcp"
	UDP  Protocol = "udp"
	SCTP Protocol = "sctp"
)

// Name is that of a service.
type Name struct{ Namespace, Name string }

// Compare orders names as listings do.
func (n Name) Compare(m Name) int {
	return cmp.Or(strings.Compare(n.Namespace, m.Namespace), strings.Compare(n.Name, m.Name))
}

// String implements fmt.Stringer.
func (n Name) String() string { return n.Namespace + "/" + n.Name }

// Service is what a service of the API asks of the network. Its addresses are of IPv4.
type Service struct {
	Name Name
	// Created is since when there is one: of several that ask for the same address at once
	// the oldest has it.
	Created time.Time
	// ClusterIP is its address in the service range.
	ClusterIP netip.Addr
	// External are addresses from elsewhere that packets to this machine may have, Balanced
	// those of a load balancer, which only senders of Sources reach where there are some.
	External, Balanced []netip.Addr
	Sources            []netip.Prefix
	// Affinity is how long a client stays with the endpoint that it had last; 0 for none.
	Affinity time.Duration
	// InternalLocal has the cluster IP lead to endpoints of this node alone, ExternalLocal
	// everything else of the service.
	InternalLocal, ExternalLocal bool
	// HealthPort is where it is told, by HTTP, whether there are endpoints on this node;
	// 0 for nowhere.
	HealthPort uint16
	Ports      []Port
}

// Port is one port of a service; NodePort is 0 without one.
type Port struct {
	Name           string
	Protocol       Protocol
	Port, NodePort uint16
}

// Slice is a part of the endpoints of a service. Each has every port.
type Slice struct {
	Ports     []SlicePort
	Endpoints []Endpoint
}

// SlicePort is where endpoints serve the service's port of that name and protocol.
type SlicePort struct {
	Name     string
	Protocol Protocol
	Port     uint16
}

// Endpoint is who serves.
type Endpoint struct {
	Addr                        netip.Addr
	Ready, Serving, Terminating bool
	// Node is where it is.
	Node string
	// Nodes and Zones are whom it is to serve, by the hints of the API; none for everybody.
	Nodes, Zones []string
}

// Node is who asks.
type Node struct{ Name, Zone string }
