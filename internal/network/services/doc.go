// Package services leads the addresses of services to their endpoints with one nftables
// table of our own, named after the data directory.
//
//	from pods          prerouting   packets that come in by our bridge
//	from elsewhere     prerouting   node ports and external addresses alone
//	from the machine   output       its own programs
//
// Each looks the address up in a map and goes to the chain of the service, which rewrites
// the destination. A service address that is not in the map is refused at once, so that no
// packet for it leaves the machine; what has endpoints that the policy forbids is dropped.
// Packets of pods that leave the machine get its address (masquerade), as do those of a pod
// to itself.
//
// What a service has in the table is a Unit, made by Compile of the service, its endpoints
// and the node alone. The table is changed by what differs, in one transaction; why nothing
// is listed for that, and how answers find their way back, is in docs/decisions/0020.
//
// Several systems share a machine, often with the same service range. Pods are told
// apart by the bridge that they come in by, so each reaches its own system. The
// machine's own programs cannot be told apart: when two systems have a service at the
// same address, the table that was made first answers them.
//
// Pods of one system do not reach pods of another, nor its API: what comes in by the
// bridge of another system is refused.
//
// There is no route for the service range, which would belong to all systems at once.
// The subnet of pods and the bridge live in network/bridge, what a pod may send to it in
// network/ports, what the API says of services in network/serviceapi.
package services
