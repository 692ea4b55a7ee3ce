// Package node decides the requests of nodes: a node reads the secrets, config
// maps and service accounts that pods bound to it refer to, asks for the tokens of
// those service accounts, and touches its own Node, Lease and pods. Everything else
// that nodes may do is a list of rules, the same for all of them.
//
// It owns the index of references, fed by the pods informer. A node acts within
// milliseconds of a binding, perhaps before this server's watch has told the index;
// so a miss is not the answer yet: it waits for the index for a moment (grace) and
// then asks the store itself which pods are on the node. Misses of one node share
// such reads, so a node that asks for what it may not have costs little.
//
// Which pods a node may create, delete and report lives in
// internal/admission/noderestriction.
package node
