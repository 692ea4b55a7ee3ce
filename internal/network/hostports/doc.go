// Package hostports leads ports of the machine to pods (containers[].ports[].hostPort),
// with one nftables table of our own, named after the data directory. It is there while a
// pod has such a port, and only then is nft run for it.
//
//	from outside, from pods   prerouting    rewrites what is addressed to this machine
//	from the machine          output        the same, 127.0.0.1 included
//	back                      postrouting   what comes from 127.0.0.1, or from a pod of this
//	                                        machine, is sent in the bridge's name
//
// The last is needed since a pod would answer another over the bridge, past this machine,
// and has no way to 127.0.0.1. What comes from elsewhere keeps its source.
//
// That packets from 127.0.0.1 leave by the bridge at all has to be allowed there
// (route_localnet). It lets packets for 127.0.0.0/8 in from the bridge as well, with which
// pods would reach what listens on the machine's loopback: they are dropped before anything
// else sees them. Everywhere else the kernel drops them itself; but since a rewritten
// destination is no longer one of 127.0.0.0/8, nothing that comes by a link is rewritten
// that is addressed there. Addresses that are not the machine's are never rewritten, so
// that nobody's traffic to others is taken.
//
// Where a process of the machine listens at such a port, new connections go to the pod, as
// with upstream's portmap; but what this system itself listens at, its API above all,
// stays. Notes tells of both, and of another system that has the same port.
//
// Which ports pods have is remembered by the CNI library and read by network/bridge: so it
// is known of each sandbox, however laterna ended. That two pods of a node do not ask for
// the same one is the scheduler's and internal/node/admit's to see to.
package hostports
