// Package services routes the addresses of services to their backends with one
// nftables table of our own, named after the data directory.
//
//	from pods     prerouting   only packets that come in by our bridge
//	from the host output       the machine's own programs
//
// Both look the address up in a map and go to the chain of the service, which rewrites
// the destination. A service address that is not in the map is refused at once, so
// that no packet for it leaves the machine. Packets of pods that leave the machine get
// its address (masquerade).
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
// network/ports.
package services
