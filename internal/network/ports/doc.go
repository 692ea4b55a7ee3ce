// Package ports lets a pod send only what is its own: on the bridge, a port is bound to
// the hardware address and the IPv4 address that its pod was given.
//
// A pod may have the right to send raw packets (NET_RAW is among the default
// capabilities), and could otherwise answer ARP for another pod or for the gateway, send
// packets in their names, or have the bridge learn their hardware address at its own
// port. One table of the bridge family, named after the data directory, lets pass
//
//	ARP   with the port's hardware address (of the frame and of the sender) and address
//	IPv4  with the port's hardware address and, as source, its address; not to 127.0.0.0/8,
//	      where the machine's own loopback may be routed to (network/hostports)
//
// and drops everything else that comes in by a port: other protocols too, since pods are
// given no other addresses. IPv6 is among them, so nobody can announce a router. A port of
// which it is not known what is behind it can send nothing.
//
// Where the kernel does not have what is forwarded between ports pass the rules for IPv4
// (br_netfilter is missing), packets between pods are sent to the machine's own address of
// the bridge, which forwards them: else a pod's answer to another that has called it by a
// service would come from an address that the caller knows nothing of.
//
// What is connected to which port is known to network/bridge; when the rules are written
// is decided in network/plane.
package ports
